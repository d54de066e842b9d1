/** A path to one peer under a held clock, and endpoints where the peer may be. */

import type { Endpoint } from '../../../src/base/endpoint.ts';
import { formatEndpoint, parseEndpoint } from '../../../src/base/endpoint.ts';
import type { Millis } from '../../../src/base/time.ts';
import { millis } from '../../../src/base/time.ts';
import type { PathPlan, Traffic } from '../../../src/protocol/disco/path-phase.ts';
import { PeerPath } from '../../../src/protocol/disco/peer-path.ts';
import { must } from '../../must.ts';

export const at = (text: string): Endpoint => must(parseEndpoint(text));
export const LAN: Endpoint = at('192.168.1.2:41641');
export const WAN: Endpoint = at('203.0.113.7:5000');

/** A path whose pings are answered or not, and a clock that goes by its plans. */
export class Walk {
  readonly path: PeerPath = new PeerPath();
  readonly pings: { readonly to: string; readonly at: number }[] = [];
  now: Millis = millis(1000);
  calls: number = 0;
  traffic: { sent: number; received: number; wanted: number } = { sent: 0, received: 0, wanted: 0 };
  answers: ReadonlyMap<string, number> = new Map();
  #sent = 0;
  readonly #pongs: { readonly at: number; readonly transaction: Uint8Array }[] = [];

  plan(): PathPlan {
    for (const { transaction } of this.#pongs.filter((pong) => pong.at <= this.now))
      this.path.pong(transaction, this.now);
    this.#pongs.splice(0, this.#pongs.length, ...this.#pongs.filter((p) => p.at > this.now));
    const plan = this.path.plan(this.traffic as Traffic, this.now);
    for (const endpoint of plan.ping) {
      const transaction = Uint8Array.of(this.#sent >> 16, this.#sent >> 8, this.#sent++);
      this.path.pinging(endpoint, transaction, this.now);
      const to = formatEndpoint(endpoint);
      this.pings.push({ to, at: this.now });
      const latency = this.answers.get(to);
      if (latency !== undefined) this.#pongs.push({ at: this.now + latency, transaction });
    }
    if (plan.call) {
      this.calls++;
      this.path.calling(true, this.now);
    }
    return plan;
  }

  /** Lives for `duration`, in steps of 10 ms; `each` sets the traffic. */
  live(duration: number, each: (walk: Walk) => void = () => {}): void {
    const until = this.now + duration;
    while (this.now < until) {
      each(this);
      this.plan();
      this.now = millis(this.now + 10);
    }
  }

  busy(duration: number): void {
    this.live(duration, (walk) => {
      walk.traffic = { sent: walk.now, received: walk.now, wanted: walk.now };
    });
  }
}
