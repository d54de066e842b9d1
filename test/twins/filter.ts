/**
 * The packet filter over plain maps: flows by a text key, rules by bit strings, fragments by a text key. It
 * knows no buckets, so it agrees with the kernel as long as nothing is evicted.
 */

import type { Rule } from '../../src/node/dataplane/rules.ts';
import { bitsOf, inspect, type Seen } from './inspect.ts';

const PASS = 0;
const RULES = 1;
const FRAGMENT = 2;

interface Flow {
  readonly begunHere: boolean;
  readonly protocol: number;
  generation: number;
  answered: boolean;
  seen: number;
}

export class FilterTwin {
  private readonly flows = new Map<string, Flow>();
  private readonly fragments = new Map<string, number>();
  private rules: readonly Rule[] = [];
  private generation = 0;

  setRules(rules: readonly Rule[]): void {
    this.rules = rules;
    this.generation++;
    this.fragments.clear();
  }

  out(packet: Uint8Array, now: number): void {
    const seen = inspect(packet, 'out');
    if (typeof seen === 'number' || seen.ports === undefined) return;
    const flow = this.flow(seen, now);
    if (flow) {
      flow.seen = now;
      if (!flow.begunHere) flow.answered = true;
    } else if (!seen.answer) this.enter(seen, true, now);
  }

  in(packet: Uint8Array, now: number): number {
    const seen = inspect(packet, 'in');
    if (typeof seen === 'number') return seen;
    const id = `${seen.local} ${seen.remote} ${seen.fragmentKey}`;
    if (seen.fragment === 'later')
      return now - (this.fragments.get(id) ?? Number.NEGATIVE_INFINITY) <= 30 ? PASS : FRAGMENT;
    const verdict = this.verdict(seen, now);
    if (verdict === PASS && seen.fragment === 'first') this.fragments.set(id, now);
    return verdict;
  }

  private verdict(seen: Seen, now: number): number {
    if (seen.quoted) {
      const quoted = inspect(seen.quoted, 'quoted');
      if (typeof quoted !== 'number' && quoted.ports !== undefined && quoted.local === seen.local) {
        const flow = this.flow(quoted, now);
        if (flow && this.valid(flow)) return PASS;
      }
    }
    const flow = seen.ports === undefined ? undefined : this.flow(seen, now);
    if (flow && this.valid(flow)) {
      flow.seen = now;
      if (flow.begunHere) flow.answered = true;
      return PASS;
    }
    if (!this.rules.some((rule) => matches(rule, seen))) return RULES;
    if (flow) {
      flow.generation = this.generation;
      flow.seen = now;
    } else if (seen.ports !== undefined && !seen.answer) this.enter(seen, false, now);
    return PASS;
  }

  private valid(flow: Flow): boolean {
    return flow.begunHere || flow.generation === this.generation;
  }

  private flow(seen: Seen, now: number): Flow | undefined {
    const flow = this.flows.get(keyOf(seen));
    return flow && now - flow.seen <= patience(flow) ? flow : undefined;
  }

  private enter(seen: Seen, begunHere: boolean, now: number): void {
    const { protocol } = seen;
    const { generation } = this;
    this.flows.set(keyOf(seen), { begunHere, protocol, generation, answered: false, seen: now });
  }
}

const keyOf = ({ local, remote, protocol, ports }: Seen): string =>
  `${protocol} ${local} ${remote} ${ports}`;

function patience({ protocol, answered }: Flow): number {
  if (protocol === 6) return answered ? 7200 : 300;
  return protocol === 1 || protocol === 58 ? 30 : 180;
}

function matches(rule: Rule, seen: Seen): boolean {
  const within = (prefix: Rule['source'], bits: string): boolean =>
    prefix === undefined || bits.startsWith(bitsOf(prefix.address).slice(0, prefix.bits));
  const prefix = rule.source ?? rule.target;
  if (prefix && prefix.address.length * 8 !== seen.local.length) return false;
  if (rule.protocol !== 0 && rule.protocol !== seen.protocol) return false;
  const port = seen.targetPort;
  if (port !== undefined && (port < rule.firstPort || port > rule.lastPort)) return false;
  return within(rule.source, seen.remote) && within(rule.target, seen.local);
}
