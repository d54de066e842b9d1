/**
 * The names of the network on this board: answered at 100.100.100.100 and its IPv6 twin, all others passed on.
 *
 *     program --> system (resolved, resolvconf, resolv.conf) --> server.ts --+-- zone: answered here
 *                                                                            +-- forwarder.ts --> resolvers
 *     map --> set() --> plan (setting.ts)
 *
 * The system is pointed at us only after we listen, and put back before we stop. A name of ours is answered
 * with every resolver dead, and is never asked of one.
 *
 * Not here: resolvers by HTTPS (RFC 8484), DNSSEC validation (an asker's DO and CD are passed on), and the
 * filtering of private addresses from answers of others, since names of a LAN are exactly that.
 */

import type { Env } from '../../base/env.ts';
import { after, millis } from '../../base/time.ts';
import { bareAnswer, fitAnswer, udpLimit, writeAnswer } from '../../protocol/dns/answer.ts';
import { FLAG, MAX_MESSAGE_BYTES, OUR_UDP_BYTES, RCODE } from '../../protocol/dns/constants.ts';
import { canonicalName, nameBytes } from '../../protocol/dns/name.ts';
import type { DnsQuery } from '../../protocol/dns/query.ts';
import { readQuery } from '../../protocol/dns/query.ts';
import type { ResolverAddress } from '../../protocol/dns/resolver-address.ts';
import { DNS_PORT, formatResolver } from '../../protocol/dns/resolver-address.ts';
import { answerFrom } from '../../protocol/dns/zone.ts';
import { Forwarder } from './forwarder.ts';
import { LoopGuard } from './loop-guard.ts';
import type { NamesOptions, NamesPorts } from './ports.ts';
import { SYSTEM_PATHS } from './ports.ts';
import type { NamesAnswer, NamesReport } from './report.ts';
import { answerOf, reportOf } from './report.ts';
import type { Transport } from './server.ts';
import { Server } from './server.ts';
import type { NamesSetting, Plan } from './setting.ts';
import { planOf, resolversFor } from './setting.ts';
import { SystemKeeper } from './system-keeper.ts';

const LISTEN_AGAIN_FIRST_MS = 1000;
const LISTEN_AGAIN_MOST_MS = 60_000;
const NOT_LISTENING = 'names-listen';
const LOOPING = 'names-loop';

interface Resolved {
  readonly message: Uint8Array;
  readonly source: NamesAnswer['source'];
  readonly resolver?: ResolverAddress;
}

const NOTHING: NamesSetting = {
  hosts: new Map(),
  ownDomains: [],
  search: [],
  routes: new Map(),
  resolvers: [],
  fallback: [],
  manageSystem: false,
};

export class Names {
  readonly #env: Env;
  readonly #ports: NamesPorts;
  readonly #addresses: readonly Uint8Array[];
  readonly #port: number;
  readonly #forwarder: Forwarder;
  readonly #guard: LoopGuard;
  readonly #keeper: SystemKeeper;
  readonly #counters = new Map<string, number>();
  #plan: Plan = planOf(NOTHING);
  #server: Server | undefined;
  #last: Promise<void> = Promise.resolve();
  #listenAgainMs = LISTEN_AGAIN_FIRST_MS;
  #cancelListen: () => void = () => {};
  #closed = false;

  constructor(env: Env, ports: NamesPorts, options: NamesOptions) {
    this.#env = env;
    this.#ports = ports;
    this.#addresses = options.addresses;
    this.#port = options.port ?? DNS_PORT;
    this.#forwarder = new Forwarder(env, ports.network, (reason) => this.#count(reason));
    this.#guard = new LoopGuard({
      env,
      addresses: options.addresses,
      port: this.#port,
      isOwnAddress: ports.isOwnAddress,
      ask: (query, resolver) => void this.#forwarder.ask(query, [resolver]),
      found: (resolver) => this.#loops(resolver),
    });
    this.#keeper = new SystemKeeper({
      env,
      context: {
        system: ports.system,
        paths: { ...SYSTEM_PATHS, ...options.paths },
        interfaceIndex: ports.interfaceIndex,
        addresses: options.addresses,
      },
      health: ports.health,
      upstreamsChanged: () => this.#learn(),
    });
  }

  /** Makes it so; a second call with the same costs little. Failures are health items, tried again by themselves. */
  set(setting: NamesSetting): Promise<void> {
    const before = resolversText(this.#plan);
    this.#plan = planOf(setting);
    if (resolversText(this.#plan) !== before) this.#learn();
    return this.#inOrder(() => this.#apply());
  }

  /** The network has changed: what was learnt of resolvers is void, and the system may have others. */
  async networkChanged(): Promise<void> {
    this.#learn();
    await this.#inOrder(() => this.#keeper.check());
  }

  /**
   * As a program would be answered, a bare name with each search domain in turn.
   *
   * @param type a number, or what `parseType` made of a text
   */
  async query(name: string, type: number): Promise<NamesAnswer> {
    const bare = canonicalName(name);
    const absolute = name.endsWith('.') || bare.includes('.');
    const tries = [...(absolute ? [] : this.#plan.search.map((one) => `${bare}.${one}`)), bare];
    let last: NamesAnswer | undefined;
    for (const full of tries) {
      const query = questionOf(full, type);
      if (query === undefined) continue;
      const { message, source, resolver } = await this.#resolve(query);
      last = answerOf(query, message, source, resolver);
      if (last.records.length > 0) return last;
    }
    return last ?? { ...NO_ANSWER, name };
  }

  status(): NamesReport {
    return reportOf({
      plan: this.#plan,
      server: this.#server,
      keeper: this.#keeper,
      forwarder: this.#forwarder,
      guard: this.#guard,
      counters: this.#counters,
    });
  }

  /** The system as it was, then silence. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelListen();
    await this.#last;
    await this.#keeper.close();
    this.#server?.close();
    this.#forwarder.close();
  }

  #inOrder(action: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(() => (this.#closed ? undefined : action()));
    return this.#last;
  }

  async #apply(): Promise<void> {
    await this.#listen();
    const { manageSystem, search, domains, resolvers, routes } = this.#plan;
    const server = this.#server;
    if (!manageSystem || server === undefined) await this.#keeper.want(undefined);
    else
      await this.#keeper.want({
        addresses: server.listening,
        search,
        domains,
        everything: resolvers.length > 0 || routes.has(''),
      });
    this.#probe();
  }

  async #listen(): Promise<void> {
    if (this.#server !== undefined) return;
    this.#cancelListen();
    try {
      this.#server = await Server.open({
        env: this.#env,
        network: this.#ports.network,
        addresses: this.#addresses,
        port: this.#port,
        answer: (message, transport) => this.#answer(message, transport),
        mayAsk: this.#ports.mayAsk,
        count: (reason) => this.#count(reason),
      });
      this.#listenAgainMs = LISTEN_AGAIN_FIRST_MS;
      this.#ports.health.lower(NOT_LISTENING);
    } catch (error) {
      this.#ports.health.raise({
        code: NOT_LISTENING,
        severity: 'warning',
        text: `names of the network are not answered: ${(error as Error).message}`,
        remedy: 'Another DNS server may hold port 53 of all addresses: bind it to its own ones.',
      });
      const at = after(this.#env.now(), millis(this.#listenAgainMs));
      this.#listenAgainMs = Math.min(2 * this.#listenAgainMs, LISTEN_AGAIN_MOST_MS);
      this.#cancelListen = this.#env.setTimer(at, () => void this.#inOrder(() => this.#apply()));
    }
  }

  async #answer(message: Uint8Array, transport: Transport): Promise<Uint8Array | undefined> {
    const reading = readQuery(message);
    switch (reading.kind) {
      case 'drop':
        this.#count(reading.reason);
        return undefined;
      case 'refusal':
        this.#count('dns: refused');
        return reading.reply;
      case 'query': {
        const { query } = reading;
        const most = transport === 'udp' ? udpLimit(query) : MAX_MESSAGE_BYTES;
        const resolved = await this.#resolve(query, most);
        return fitAnswer(query, resolved.message, most);
      }
    }
  }

  async #resolve(query: DnsQuery, mostBytes: number = MAX_MESSAGE_BYTES): Promise<Resolved> {
    const own = answerFrom(this.#plan.zone, query.question);
    if (own !== undefined) {
      this.#count('dns: answered');
      return { message: writeAnswer(query, own, mostBytes), source: 'own' };
    }
    const { name } = query.question;
    if (this.#guard.caught(name))
      return { message: bareAnswer(query, RCODE.REFUSED), source: 'own' };
    const resolvers = resolversFor(this.#plan, name, this.#guard.usable(this.#keeper.upstreams));
    const forwarded = await this.#forwarder.ask(query, this.#guard.usable(resolvers));
    if (forwarded === undefined)
      return { message: bareAnswer(query, RCODE.SERVFAIL), source: 'own' };
    const { message, resolver } = forwarded;
    return resolver === undefined
      ? { message, source: 'cache' }
      : { message, source: 'resolver', resolver };
  }

  /** Other resolvers than before: what the old ones said is forgotten. */
  #learn(): void {
    this.#forwarder.forget();
    this.#guard.reset();
    this.#ports.health.lower(LOOPING);
    this.#probe();
  }

  #probe(): void {
    if (this.#server === undefined || this.#closed) return;
    const { resolvers, fallback, routes } = this.#plan;
    this.#guard.probe([
      ...this.#keeper.upstreams,
      ...resolvers,
      ...fallback,
      ...[...routes.values()].flat(),
    ]);
  }

  #loops(resolver: ResolverAddress): void {
    const text = formatResolver(resolver);
    this.#count('dns: loop');
    this.#ports.health.raise({
      code: LOOPING,
      severity: 'warning',
      text: `the resolver ${text} of this machine asks us what we ask it; it is not asked any more`,
      remedy: `Give ${text} resolvers of its own instead of those in /etc/resolv.conf.`,
    });
  }

  #count(reason: string): void {
    this.#counters.set(reason, (this.#counters.get(reason) ?? 0) + 1);
  }
}

/** All resolvers of a plan, so that two can be compared. */
function resolversText({ routes, resolvers, fallback }: Plan): string {
  return JSON.stringify([[...routes], resolvers, fallback]);
}

const NO_ANSWER: Omit<NamesAnswer, 'name'> = {
  type: '',
  rcode: 'FORMERR',
  records: [],
  source: 'own',
};

function questionOf(name: string, type: number): DnsQuery | undefined {
  const wire = nameBytes(name);
  if (wire === undefined) return undefined;
  const bytes = Uint8Array.from([...wire, type >> 8, type & 0xff, 0, 1]);
  return {
    id: 0,
    flags: FLAG.RD,
    question: { name, type, bytes },
    edns: { udpBytes: OUR_UDP_BYTES, dnssecOk: false },
  };
}
