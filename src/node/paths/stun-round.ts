/**
 * One round of STUN: each target asked up to three times, each time with a transaction of its own, until
 * all have answered or the time is over.
 *
 *     0 ms   400 ms   1,000 ms        1,500 ms                      3,000 ms
 *     ask    ask      ask again whom  over if anyone has answered   over
 *                     is missing
 *
 * An answer counts only from the very endpoint asked, with a transaction still open, and with an address that
 * can be ours: whoever can guess neither cannot move our endpoints. A private address counts only from a
 * server that is itself in private space, as in a network of one's own without Internet.
 */

import { toHex } from '../../base/bytes.ts';
import type { Endpoint } from '../../base/endpoint.ts';
import { formatEndpoint } from '../../base/endpoint.ts';
import type { Env } from '../../base/env.ts';
import { IPV4_BYTES } from '../../base/ip.ts';
import { after, millis } from '../../base/time.ts';
import { addressKind, mayBeSentTo } from '../../protocol/disco/address-kinds.ts';
import { decodeAnswer, encodeRequest, STUN_TRANSACTION_BYTES } from '../../protocol/disco/stun.ts';
import type { StunTarget } from './stun-targets.ts';

const ASK_AGAIN = [400, 1000].map(millis);
const LONG_ENOUGH = millis(1500);
const OVER = millis(3000);

export interface StunAnswer {
  readonly target: StunTarget;
  readonly seenFrom: Endpoint;
  readonly latencyMillis: number;
}

export type AnswerDrop =
  | Extract<ReturnType<typeof decodeAnswer>, string>
  | 'stun: unknown transaction'
  | 'stun: from a stranger'
  | 'stun: bogus address';

export interface RoundEvents {
  send(to: Endpoint, datagram: Uint8Array): void;
  answered(answer: StunAnswer): void;
  over(answers: readonly StunAnswer[]): void;
}

export class StunRound {
  readonly #env: Env;
  readonly #events: RoundEvents;
  readonly #targets = new Map<string, StunTarget>();
  readonly #open = new Map<string, { readonly target: StunTarget; readonly at: number }>();
  readonly #answers = new Map<string, StunAnswer>();
  readonly #timers: (() => void)[];

  constructor(env: Env, targets: readonly StunTarget[], events: RoundEvents) {
    this.#env = env;
    this.#events = events;
    for (const target of targets) this.#targets.set(target.text, target);
    const now = env.now();
    this.#timers = [
      ...ASK_AGAIN.map((pause) => env.setTimer(after(now, pause), () => this.#ask())),
      env.setTimer(after(now, LONG_ENOUGH), () => {
        if (this.#answers.size > 0) this.#end();
      }),
      env.setTimer(after(now, OVER), () => this.#end()),
    ];
    this.#ask();
  }

  /** Targets whose addresses became known meanwhile. */
  add(targets: readonly StunTarget[]): void {
    const fresh = targets.filter(({ text }) => !this.#targets.has(text));
    for (const target of fresh) this.#targets.set(target.text, target);
    for (const target of fresh) this.#request(target);
  }

  /** Why an answer does not count; undefined where it does. */
  receive(datagram: Uint8Array, from: Endpoint): AnswerDrop | undefined {
    const answer = decodeAnswer(datagram);
    if (typeof answer === 'string') return answer;
    const text = toHex(answer.transaction);
    const asked = this.#open.get(text);
    if (asked === undefined) return 'stun: unknown transaction';
    if (formatEndpoint(from) !== asked.target.text) return 'stun: from a stranger';
    if (!isOurs(answer.seenFrom, asked.target.endpoint)) return 'stun: bogus address';
    this.#open.delete(text);
    if (this.#answers.has(asked.target.text)) return undefined;
    const latencyMillis = this.#env.now() - asked.at;
    const counted = { target: asked.target, seenFrom: answer.seenFrom, latencyMillis };
    this.#answers.set(asked.target.text, counted);
    this.#events.answered(counted);
    if (this.#answers.size === this.#targets.size) this.#end();
    return undefined;
  }

  /** Without a result. */
  cancel(): void {
    for (const cancel of this.#timers.splice(0)) cancel();
    this.#open.clear();
  }

  #ask(): void {
    for (const target of this.#targets.values())
      if (!this.#answers.has(target.text)) this.#request(target);
  }

  #request(target: StunTarget): void {
    const transaction = this.#env.random(STUN_TRANSACTION_BYTES);
    this.#open.set(toHex(transaction), { target, at: this.#env.now() });
    this.#events.send(target.endpoint, encodeRequest(transaction));
  }

  #end(): void {
    this.cancel();
    this.#events.over([...this.#answers.values()]);
  }
}

function isOurs(seen: Endpoint, server: Endpoint): boolean {
  if (seen.address.length !== server.address.length || !mayBeSentTo(seen)) return false;
  const isGlobal = addressKind(seen.address) === 'global';
  return isGlobal || addressKind(server.address) !== 'global';
}

/**
 * Whether the NAT gives another port for each destination: no where two addresses saw the same, yes where
 * they differ, undefined where only one was asked.
 */
export function mappingVaries(answers: readonly StunAnswer[]): boolean | undefined {
  const ipv4 = answers.filter(({ seenFrom }) => seenFrom.address.length === IPV4_BYTES);
  const asked = new Set(ipv4.map(({ target }) => target.text));
  if (asked.size < 2) return undefined;
  return new Set(ipv4.map(({ seenFrom }) => formatEndpoint(seenFrom))).size > 1;
}

/** What was seen of us in a family: home's word first, then the lowest region's, so that it does not flutter. */
export function seenAs(
  answers: readonly StunAnswer[],
  addressBytes: number,
  home: number,
): Endpoint | undefined {
  const rank = ({ target }: StunAnswer): number => (target.region === home ? -1 : target.region);
  return answers
    .filter(({ seenFrom }) => seenFrom.address.length === addressBytes)
    .sort((a, b) => rank(a) - rank(b) || (a.target.text < b.target.text ? -1 : 1))[0]?.seenFrom;
}
