/**
 * Maps as the bytes of a stream.
 *
 *     length u32 LE | body
 *     body           JSON; or zstd, in one frame or several (zstd.ts)
 *     all peers      {"Peers":[ | page , page , … | ], the viewer's own fields }
 *     a delta        {"PeersChanged":… | , the viewer's own fields }
 *     own fields     … "SrcIPs": | a block of sources | , "DstPorts": …
 *
 * Between the bars stand frames that most viewers have in common: a page of peers, the peers of a delta, a
 * block of sources. Each is written and compressed once: 1,000 first maps of 1,000 peers take 1.2 to 2 s of CPU
 * with all that belongs to them, and took 6.8 s where each was written and compressed as a whole.
 *
 * Source: reference/protocol.md 3.2.
 */

import type { FilterRule, MapResponse } from '../../protocol/tailcfg/map-types.ts';
import type { Node } from '../../protocol/tailcfg/types.ts';
import type { Difference } from './difference.ts';
import type { Page } from './pages.ts';
import { keptZstdFrame, zstdFrame } from './zstd.ts';

const LENGTH_BYTES = 4;
/** Pages that are kept compressed, some 10 kB each. */
const MAX_PAGES = 128;
/** From here on, characters of a delta that many are told, it is made smaller. */
const SHORT_DELTA = 128;
/** Shorter lists of sources are written where they stand. */
const LONG_LIST = 12;

const texts = new WeakMap<Node, string>();

/** The JSON of a map. */
export function textOf(map: MapResponse): string {
  const { Peers, PeersChanged, ...rest } = map;
  const fields = [
    ...(Peers === undefined ? [] : [`"Peers":[${listText(Peers)}]`]),
    ...(PeersChanged === undefined ? [] : [`"PeersChanged":[${listText(PeersChanged)}]`]),
    ...(Object.keys(rest).length === 0 ? [] : [fieldsText(rest)]),
  ];
  return `{${fields.join(',')}}`;
}

/** A map of which nothing is kept. */
export const frameOf = (text: string, compress: boolean): Uint8Array =>
  framed([compress ? zstdFrame(text) : Buffer.from(text)]);

/** Makes frames, and keeps what others will need too. */
export class Frames {
  readonly #pages = new Map<Page, Uint8Array>();
  readonly #sources = new WeakMap<readonly string[], Uint8Array>();
  /** Peers of deltas by their `peersKey`. */
  readonly #deltas = new Map<string, Uint8Array>();

  /** @param map that of the difference, or what was let through of it; not empty */
  frameOf({ whole, peersKey }: Difference, map: MapResponse): Uint8Array {
    const { Peers, PeersChanged, PeersRemoved, PeersChangedPatch, PacketFilters, ...own } = map;
    const delta: MapResponse = {
      ...(PeersChanged === undefined ? {} : { PeersChanged }),
      ...(PeersRemoved === undefined ? {} : { PeersRemoved }),
      ...(PeersChangedPatch === undefined ? {} : { PeersChangedPatch }),
    };
    const body = new Body();
    if (Peers !== undefined && whole !== undefined) {
      body.add('{"Peers":[');
      for (const [i, page] of whole.entries()) {
        if (i > 0) body.add(',');
        body.addFrame(this.#page(page));
      }
      body.add(']');
    } else if (peersKey !== undefined && Object.keys(delta).length > 0)
      body.addFrame(this.#delta(peersKey, delta));
    const comma = body.isEmpty ? '{' : ',';
    if (Object.keys(own).length > 0) body.add(comma + fieldsText(own));
    if (PacketFilters !== undefined) {
      body.add(`${body.isEmpty ? '{' : ','}"PacketFilters":{`);
      this.#addFilters(body, PacketFilters);
      body.add('}');
    }
    body.add('}');
    return framed(body.frames());
  }

  /** Deltas of later rounds will be others. */
  endRound(): void {
    this.#deltas.clear();
  }

  #addFilters(body: Body, filters: NonNullable<MapResponse['PacketFilters']>): void {
    for (const [i, [name, rules]] of Object.entries(filters).entries()) {
      body.add(`${i > 0 ? ',' : ''}${JSON.stringify(name)}:${rules === null ? 'null' : '['}`);
      if (rules === null) continue;
      for (const [j, rule] of rules.entries()) {
        if (j > 0) body.add(',');
        this.#addRule(body, rule);
      }
      body.add(']');
    }
  }

  #addRule(body: Body, { SrcIPs, ...rule }: FilterRule): void {
    const others = `,${fieldsText(rule)}}`;
    if (SrcIPs.length < LONG_LIST) {
      body.add(`{"SrcIPs":${JSON.stringify(SrcIPs)}${others}`);
      return;
    }
    body.add('{"SrcIPs":');
    const known = this.#sources.get(SrcIPs);
    const frame = known ?? keptZstdFrame(JSON.stringify(SrcIPs));
    if (known === undefined) this.#sources.set(SrcIPs, frame);
    body.addFrame(frame);
    body.add(others);
  }

  #page(page: Page): Uint8Array {
    const known = this.#pages.get(page);
    if (known !== undefined) return known;
    if (this.#pages.size >= MAX_PAGES) this.#pages.clear();
    const made = keptZstdFrame(listText(page.peers.map(({ node }) => node)));
    this.#pages.set(page, made);
    return made;
  }

  /** Without the brace at its end, since more may follow. */
  #delta(key: string, peers: MapResponse): Uint8Array {
    const known = this.#deltas.get(key);
    if (known !== undefined) return known;
    const text = textOf(peers).slice(0, -1);
    const made = text.length < SHORT_DELTA ? zstdFrame(text) : keptZstdFrame(text);
    this.#deltas.set(key, made);
    return made;
  }
}

/** A compressed body as it grows: texts that stand together become one frame. */
class Body {
  readonly #frames: Uint8Array[] = [];
  #text = '';

  get isEmpty(): boolean {
    return this.#frames.length === 0 && this.#text === '';
  }

  add(text: string): void {
    this.#text += text;
  }

  addFrame(frame: Uint8Array): void {
    this.#flush();
    this.#frames.push(frame);
  }

  frames(): readonly Uint8Array[] {
    this.#flush();
    return this.#frames;
  }

  #flush(): void {
    if (this.#text !== '') this.#frames.push(zstdFrame(this.#text));
    this.#text = '';
  }
}

function framed(parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const frame = Buffer.allocUnsafeSlow(LENGTH_BYTES + length);
  let at = frame.writeUInt32LE(length);
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

const fieldsText = (fields: object): string => JSON.stringify(fields).slice(1, -1);

const listText = (nodes: readonly Node[]): string => nodes.map(nodeText).join(',');

function nodeText(node: Node): string {
  const known = texts.get(node);
  if (known !== undefined) return known;
  const text = JSON.stringify(node);
  texts.set(node, text);
  return text;
}
