/**
 * Nodes at relays of our own in one process: streams in memory, a held clock, the real sessions and switchboards of
 * src/control/relay, and the relays' way to be unreachable, dead or silent.
 */

import { duplexPair } from 'node:stream';
import type { Env } from '../../../src/base/env.ts';
import type { NodePublic } from '../../../src/base/keys.ts';
import { NodePrivate, nodePublic } from '../../../src/base/keys.ts';
import { unixMillis } from '../../../src/base/time.ts';
import { BufferPool } from '../../../src/control/relay/buffer-pool.ts';
import { frontRequest, switchingProtocols } from '../../../src/control/relay/request.ts';
import type { SessionHost } from '../../../src/control/relay/session.ts';
import { Session } from '../../../src/control/relay/session.ts';
import { ownKey } from '../../../src/crypto/x25519.ts';
import { Relays } from '../../../src/node/relays/relays.ts';
import { Switchboard } from '../../../src/protocol/derp/switchboard.ts';
import type { DERPMap, DERPNode } from '../../../src/protocol/tailcfg/types.ts';
import type { Seeded } from '../../seeded.ts';
import { seeded } from '../../seeded.ts';
import { Clock } from '../../sim/clock.ts';

type Stream = ReturnType<typeof duplexPair>[0];

/** A connection in memory: near is the node's end, far the relay's. */
interface Wire {
  readonly near: Stream;
  readonly far: Stream;
  /** Neither end hears of the other any more. */
  frozen: boolean;
}

/** What is said is lost from now on; with `stuck` it is not even taken. */
function freeze(wires: ReadonlySet<Wire>, stuck: boolean): void {
  for (const wire of wires) {
    wire.frozen = true;
    wire.far.removeAllListeners('data');
    wire.far.resume();
    wire.far.write = () => true;
    if (stuck) wire.near.cork();
  }
}

/** The node's end breaks, and the relay's where it can hear of it. */
function cut(wires: ReadonlySet<Wire>): void {
  for (const { near } of wires) near.destroy();
}

export class Stand {
  readonly clock: Clock = new Clock();
  readonly random: Seeded = seeded(1);
  readonly relays: Map<string, TestRelay> = new Map();
  readonly env: Env = {
    now: () => this.clock.now(),
    wall: () => unixMillis(0),
    random: (lengthBytes) => this.random.bytes(lengthBytes),
    setTimer: (at, action) => this.clock.setTimer(at, action),
    log: { debug() {}, info() {}, warn() {}, error() {} },
  };

  relay(host: string): TestRelay {
    const relay = new TestRelay(this);
    this.relays.set(host, relay);
    return relay;
  }

  node(): TestNode {
    return new TestNode(this);
  }

  /** Lives for `ms`, in steps short enough for what is said between them. */
  async live(ms: number, step = 100): Promise<void> {
    const end = this.clock.now() + ms;
    while (this.clock.now() < end) {
      this.clock.runTo(Math.min(end, this.clock.now() + step));
      for (const relay of this.relays.values()) relay.beat();
      await settle();
    }
  }
}

/** One relay host, which may be away. */
export class TestRelay {
  /** How a dial ends: with a connection, a refusal, or never. */
  mode: 'serves' | 'refuses' | 'swallows' = 'serves';
  dials = 0;
  readonly board: Switchboard;
  readonly #stand: Stand;
  readonly #host: SessionHost;
  readonly #wires = new Set<Wire>();

  constructor(stand: Stand) {
    this.#stand = stand;
    const { random } = stand;
    this.board = new Switchboard({ jitter: () => 0.5 });
    let turn = 0;
    this.#host = {
      key: ownKey(random.bytes(32)),
      board: this.board,
      pool: new BufferPool(),
      sessions: new Set(),
      now: () => stand.clock.now(),
      turn: () => turn++,
      random: (lengthBytes) => random.bytes(lengthBytes),
      admits: () => true,
      joined: () => {},
      left: () => {},
      refused: () => {},
      wrote: () => {},
    };
  }

  get clients(): number {
    return this.board.stations;
  }

  dial(node: TestNode): Promise<Stream> {
    this.dials++;
    if (this.mode === 'refuses') return Promise.reject(new Error('refused'));
    if (this.mode === 'swallows') return new Promise(() => {});
    const [near, far] = duplexPair();
    const wire = { near, far, frozen: false };
    for (const wires of [this.#wires, node.wires]) {
      wires.add(wire);
      near.on('close', () => wires.delete(wire));
    }
    near.on('close', () => wire.frozen || far.destroy());
    far.on('close', () => wire.frozen || near.destroy());
    far.on('error', () => {});
    far.once('data', (bytes: Buffer) => this.#serve(far, bytes));
    return Promise.resolve(near);
  }

  beat(): void {
    this.board.beat(this.#stand.clock.now());
  }

  /** Says nothing from now on, and nothing is heard of it. */
  freeze(): void {
    freeze(this.#wires, false);
  }

  cut(): void {
    cut(this.#wires);
  }

  #serve(stream: Stream, bytes: Buffer): void {
    const request = frontRequest(bytes);
    if (request.type === 'answer') stream.end(request.text);
    if (request.type !== 'derp') return;
    stream.pause();
    stream.write(switchingProtocols('00'));
    new Session(this.#host, stream, 'memory', bytes.subarray(request.headBytes));
  }
}

export interface Heard {
  readonly region: number;
  readonly from: NodePublic;
  readonly text: string;
}

export class TestNode {
  readonly heard: Heard[] = [];
  /** `900 connected` and so on. */
  readonly changes: string[] = [];
  readonly gone: string[] = [];
  batches = 0;
  key: NodePrivate;
  /** No dial of this node succeeds. */
  offline = false;
  readonly wires: Set<Wire> = new Set();
  readonly relays: Relays;

  constructor(stand: Stand) {
    this.key = new NodePrivate(stand.random.bytes(32));
    this.relays = new Relays(stand.env, {
      dial: ({ HostName }) => {
        const relay = this.offline ? undefined : stand.relays.get(HostName);
        return relay?.dial(this) ?? Promise.reject(new Error('no route'));
      },
      packet: (region, source, datagram) =>
        this.heard.push({
          region,
          from: nodePublic(source),
          text: Buffer.from(datagram).toString('latin1'),
        }),
      batchEnd: () => {
        this.batches++;
      },
      gone: (region, _peer, reason) => this.gone.push(`${region} ${reason}`),
      changed: (region, state, reason) =>
        this.changes.push([region, state, reason].filter((part) => part !== undefined).join(' ')),
    });
    this.relays.setIdentity(this.key);
  }

  /** Its connections take nothing from now on. */
  stick(): void {
    freeze(this.wires, true);
  }

  cut(): void {
    cut(this.wires);
  }

  get public(): NodePublic {
    return nodePublic(ownKey(this.key.expose()).publicKey);
  }

  texts(): readonly string[] {
    return this.heard.map(({ text }) => text);
  }

  say(region: number, to: TestNode, text: string): boolean {
    return this.relays.send(region, to.public, Buffer.from(text, 'latin1'));
  }

  state(region: number): string | undefined {
    return this.relays.status().find((one) => one.region === region)?.state;
  }
}

/** Regions by number, each of these hosts. */
export function mapOf(regions: Readonly<Record<number, readonly string[]>>): DERPMap {
  const entries = Object.entries(regions).map(([id, hosts]) => {
    const RegionID = Number(id);
    const Nodes = hosts.map((HostName, i): DERPNode => ({ Name: `${id}${i}`, RegionID, HostName }));
    return [id, { RegionID, RegionCode: `r${id}`, RegionName: `Region ${id}`, Nodes }] as const;
  });
  return { Regions: Object.fromEntries(entries) };
}

/** Whatever is under way in memory is done. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await new Promise((done) => setImmediate(done));
}
