/**
 * A world for the names: a held clock, seeded chance, and a network in memory where each resolver is a
 * function of what it is sent. What they say arrives at once, or when the clock says so.
 */

import type { Env } from '../../../src/base/env.ts';
import type { HealthItem } from '../../../src/base/health.ts';
import { unixMillis } from '../../../src/base/time.ts';
import { nodeSystem } from '../../../src/node/names/node-system.ts';
import type { NamesNetwork, NamesPorts, Wire, WireEvents } from '../../../src/node/names/ports.ts';
import { writeAnswer } from '../../../src/protocol/dns/answer.ts';
import type { Rcode } from '../../../src/protocol/dns/constants.ts';
import { FLAG, RCODE, TYPE } from '../../../src/protocol/dns/constants.ts';
import type { DnsQuery } from '../../../src/protocol/dns/query.ts';
import { readQuery } from '../../../src/protocol/dns/query.ts';
import { formatResolver } from '../../../src/protocol/dns/resolver-address.ts';
import { frame, Unframer } from '../../../src/protocol/dns/stream.ts';
import { seeded } from '../../seeded.ts';
import { Clock } from '../../sim/clock.ts';

/** What a resolver does with a question; nothing: it keeps silent. */
export type Resolver = (query: DnsQuery, transport: 'udp' | 'tcp') => readonly Said[] | 'refused';

export interface Said {
  readonly message: Uint8Array;
  readonly afterMs?: number;
}

export interface Asked {
  readonly at: number;
  readonly resolver: string;
  readonly transport: 'udp' | 'tcp';
  readonly query: DnsQuery;
}

type Listener = Parameters<NamesNetwork['listenUdp']>[2];

export class World {
  readonly clock: Clock = new Clock();
  readonly resolvers: Map<string, Resolver> = new Map();
  /** All that was sent to resolvers, in order. */
  readonly asked: Asked[] = [];
  readonly health: Map<string, HealthItem> = new Map();
  readonly #random = seeded(7);
  readonly #udp: Listener[] = [];
  /** Conversations that nobody has closed. */
  open = 0;

  readonly env: Env = {
    now: () => this.clock.now(),
    wall: () => unixMillis(0),
    random: (length) => this.#random.bytes(length),
    setTimer: (at, action) => this.clock.setTimer(at, action),
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  };

  readonly network: NamesNetwork = {
    listenUdp: async (_address, _port, heard) => {
      this.#udp.push(heard);
      return { close: () => this.#udp.splice(this.#udp.indexOf(heard), 1) };
    },
    listenTcp: async () => ({ close: () => {} }),
    askUdp: (to, events) => this.#wire(formatResolver(to), 'udp', events),
    askTcp: (to, events) => this.#wire(formatResolver(to), 'tcp', events),
  };

  get ports(): NamesPorts {
    return {
      network: this.network,
      system: nodeSystem,
      health: {
        raise: (item) => this.health.set(item.code, item),
        lower: (code) => this.health.delete(code),
      },
      interfaceIndex: () => 7,
      mayAsk: () => true,
      isOwnAddress: (address) => address[0] === 127,
    };
  }

  /** A datagram to our own port; what is said to it. */
  async send(message: Uint8Array): Promise<Uint8Array | undefined> {
    let reply: Uint8Array | undefined;
    this.#udp[0]?.(message, Uint8Array.of(127, 0, 0, 1), (bytes) => {
      reply = bytes;
    });
    await settle();
    return reply;
  }

  /** Lives on; what promises have to say is heard between any two steps. */
  async pass(ms: number): Promise<void> {
    const until = this.clock.now() + ms;
    for (;;) {
      await settle();
      if (this.clock.now() >= until) return;
      this.clock.runTo(Math.min(until, this.clock.now() + 10));
    }
  }

  #wire(resolver: string, transport: 'udp' | 'tcp', events: WireEvents): Wire {
    let open = true;
    this.open++;
    const close = (): boolean => {
      if (!open) return false;
      open = false;
      this.open--;
      return true;
    };
    const hear = (message: Uint8Array): void => {
      if (open) events.heard(transport === 'tcp' ? frame(message) : message);
    };
    const unframer = new Unframer();
    const take = (message: Uint8Array): void => {
      const reading = readQuery(message);
      if (reading.kind !== 'query') throw new Error(`sent ${reading.kind}`);
      const { query } = reading;
      this.asked.push({ at: this.clock.now(), resolver, transport, query });
      const said = this.resolvers.get(resolver)?.(query, transport) ?? [];
      if (said === 'refused') {
        queueMicrotask(() => {
          if (close()) events.closed();
        });
        return;
      }
      for (const { message, afterMs = 0 } of said)
        if (afterMs === 0) queueMicrotask(() => hear(message));
        else this.clock.setTimer(this.clock.now() + afterMs, () => hear(message));
    };
    return {
      send: (bytes) => {
        for (const message of transport === 'tcp' ? unframer.push(bytes) : [bytes]) take(message);
      },
      close: () => void close(),
    };
  }
}

/** Lets promises run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** An answer with one address, for as many seconds. */
export function address(query: DnsQuery, last: number, ttlSeconds = 60): Uint8Array {
  return writeAnswer(query, {
    rcode: RCODE.NOERROR,
    authoritative: false,
    answers: [
      {
        name: query.question.name,
        type: TYPE.A,
        ttlSeconds,
        data: Uint8Array.of(192, 0, 2, last),
      },
    ],
    authority: [],
  });
}

export function code(query: DnsQuery, rcode: Rcode): Uint8Array {
  return writeAnswer(query, { rcode, authoritative: false, answers: [], authority: [] });
}

export function cut(query: DnsQuery): Uint8Array {
  const message = code(query, RCODE.NOERROR);
  message[2] = (message[2] ?? 0) | (FLAG.TC >> 8);
  return message;
}
