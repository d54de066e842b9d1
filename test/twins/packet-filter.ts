/**
 * The packet filter of a node as its map says it, straight from the words, for each packet anew: no sets, no
 * prefixes, no table. Addresses are bits.
 */

import { parseIp } from '../../src/base/ip.ts';
import type { FilterRule } from '../../src/protocol/tailcfg/map-types.ts';
import { bitsOf } from './inspect.ts';

export interface TwinPacket {
  readonly source: Uint8Array;
  readonly target: Uint8Array;
  readonly protocol: number;
  readonly port?: number;
}

/** @param local words like those of a rule: what is ours */
export function wordsAllow(
  rules: readonly FilterRule[],
  local: readonly string[],
  packet: TwinPacket,
): boolean {
  const [source, target] = [bitsOf(packet.source), bitsOf(packet.target)];
  if (!local.some((word) => means(word, target))) return false;
  return rules.some(
    (rule) =>
      rule.SrcIPs.some((word) => means(word, source)) &&
      (rule.DstPorts ?? []).some(
        ({ IP, Ports }) =>
          means(IP, target) &&
          isRange(Ports.First, Ports.Last) &&
          speaks(rule, Ports, packet, target.length),
      ),
  );
}

function speaks(
  { IPProto }: FilterRule,
  { First, Last }: { readonly First: number; readonly Last: number },
  { protocol, port = 0 }: TwinPacket,
  bits: number,
): boolean {
  const known = (IPProto ?? []).filter((one) => one >= 1 && one <= 255);
  const named = IPProto === undefined || IPProto.length === 0 ? [6, 17, 1, 58] : known;
  if (named.length === 0) return false;
  if (protocol === (bits === 32 ? 1 : 58)) return true;
  if (protocol === 1 || protocol === 58 || !named.includes(protocol)) return false;
  if ([6, 17, 132].includes(protocol)) return First <= port && port <= Last;
  return First === 0 && Last === 65_535;
}

const isRange = (first: number, last: number): boolean =>
  [first, last].every((port) => port >= 0 && port <= 65_535) && first <= last;

function means(word: string, address: string): boolean {
  if (word === '*') return true;
  const [from = '', to] = word.split('-');
  if (to !== undefined) {
    const [first, last] = [textBits(from), textBits(to)];
    if (first?.length !== address.length || last?.length !== address.length) return false;
    return first <= address && address <= last;
  }
  const [host = '', length] = word.split('/');
  const bits = textBits(host);
  if (bits?.length !== address.length) return false;
  const count = length === undefined ? bits.length : Number(length);
  if (!(count <= bits.length) || bits.slice(count).includes('1')) return false;
  return address.startsWith(bits.slice(0, count));
}

function textBits(text: string): string | undefined {
  const address = parseIp(text);
  return address && bitsOf(address);
}
