/**
 * A coordination server without its network side: a real ledger and coordinator over a store in memory, a held
 * clock, and the handlers asked as a chosen member of the staff.
 *
 *     olga owner, adam admin, mia and max members; nodes nas (olga's) and laptop (mia's); a key for each
 */

import type { NetError } from '../../../src/base/errors.ts';
import type { HealthItem } from '../../../src/base/health.ts';
import { lineLog } from '../../../src/base/log.ts';
import { millis, unixMillis } from '../../../src/base/time.ts';
import { perform } from '../../../src/control/admin/admin.ts';
import type { Caller } from '../../../src/control/admin/caller.ts';
import type { AdminPorts } from '../../../src/control/admin/handler.ts';
import { Coordinator } from '../../../src/control/coordinator/coordinator.ts';
import { NetworkClock } from '../../../src/control/coordinator/network-clock.ts';
import type { AuditRecord, Outcome, RegistryEvent } from '../../../src/control/registry/change.ts';
import { register } from '../../../src/control/registry/enroll.ts';
import type { Model } from '../../../src/control/registry/model.ts';
import { DEFAULT_SETTINGS, emptyModel } from '../../../src/control/registry/model.ts';
import type { Registration } from '../../../src/control/registry/register.ts';
import { rowsBetween } from '../../../src/control/registry/rows.ts';
import { createUser } from '../../../src/control/registry/users.ts';
import { ownersOnly } from '../../../src/control/registry/visibility.ts';
import type { Answers } from '../../../src/protocol/localapi/control.ts';
import type { Requests } from '../../../src/protocol/localapi/control-requests.ts';
import type { Action, Role } from '../../../src/protocol/localapi/control-rights.ts';
import type { Answered } from '../../../src/protocol/localapi/exchange.ts';
import { Ledger } from '../../../src/store/ledger.ts';
import type { Commit, CommitPort } from '../../../src/store/port.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { machine, registration } from '../control/world.ts';

export const START: number = Date.UTC(2027, 0, 15, 8);
export const HOUR = 3_600_000;

const SERVER = { kind: 'server', name: 'test', from: 'test' } as const;

export class AdminWorld implements CommitPort {
  now: number;
  /** What the next commits fail with. */
  fault: NetError | undefined;
  health: readonly HealthItem[] = [];
  relay: Awaited<ReturnType<AdminPorts['relay']>>;
  readonly log: AuditRecord[] = [];
  readonly coordinator: Coordinator;
  readonly ports: AdminPorts;

  private constructor(start: number) {
    this.now = start;
    const random = seeded(31);
    const model = emptyModel(DEFAULT_SETTINGS);
    const ledger = new Ledger<Model, RegistryEvent>({ model, store: this, rowsBetween });
    const now = () => millis(this.now - start);
    const wall = () => unixMillis(this.now);
    this.coordinator = new Coordinator({
      ledger: ledger as ConstructorParameters<typeof Coordinator>[0]['ledger'],
      env: {
        now,
        wall,
        random: (length) => random.bytes(length),
        setTimer: () => () => {},
        log: lineLog(() => {}, 'error'),
      },
      clock: new NetworkClock({ now, wall, confirmed: () => true }, unixMillis(start)),
      policy: ownersOnly(),
    });
    this.ports = {
      coordinator: this.coordinator,
      readLog: async (limit, before = this.log.length + 1) =>
        this.log
          .map((record, i) => ({ id: i + 1, at: record.at, body: JSON.stringify(record) }))
          .filter(({ id }) => id < before)
          .reverse()
          .slice(0, limit),
      relay: async () => this.relay,
      health: () => this.health,
      version: '1.2.3',
    };
  }

  static async make(start: number = START): Promise<AdminWorld> {
    const world = new AdminWorld(start);
    for (const [login, role] of [
      ['olga', 'owner'],
      ['adam', 'admin'],
      ['mia', 'member'],
      ['max', 'member'],
    ] as const)
      await world.change((model, context) => createUser(model, { login, role }, context));
    await world.join(1, 'olga', { hostname: 'nas' });
    await world.join(2, 'mia', { hostname: 'laptop' });
    return world;
  }

  async commit({ log }: Commit): Promise<void> {
    if (this.fault !== undefined) throw this.fault;
    this.log.push(...log.map(({ body }) => JSON.parse(body) as AuditRecord));
  }

  get model(): Model {
    return this.coordinator.network.model;
  }

  async change<R>(reduce: Parameters<Coordinator['change']>[1]): Promise<R> {
    const outcome = (await this.coordinator.change(SERVER, reduce)) as Outcome<R>;
    if (!outcome.ok) throw new Error(`refused: ${outcome.reason}`);
    return outcome.result;
  }

  /** A machine of a user's joins by a key. */
  async join(n: number, user: string, more: Partial<Registration> = {}): Promise<void> {
    const { token } = await this.ask('keys.create', { user });
    await this.change((model, context) =>
      register(model, registration({ ...machine(n), authKey: token, ...more }), context),
    );
  }

  /** A machine asks for a login. @returns the id that it shows */
  async wait(n: number, more: Partial<Registration> = {}): Promise<string> {
    const result = await this.change<{ type: string; approval?: string }>((model, context) =>
      register(model, registration({ ...machine(n), ...more }), context),
    );
    return must(result.approval, 'an approval');
  }

  caller(role: Role): Caller {
    const login = { owner: 'olga', admin: 'adam', member: 'mia' }[role];
    const user = must(this.model.index.userByLogin.get(login), login);
    return { by: { kind: 'user', name: login, from: 'control.sock' }, role, user };
  }

  /** As root, of what must succeed. */
  async ask<A extends Action>(action: A, request: Requests[A]): Promise<Answers[A]> {
    const outcome = await this.as(ROOT, action, request);
    if (!outcome.ok) throw new Error(`${action}: ${outcome.reason}`);
    return outcome.body as Answers[A];
  }

  as(caller: Caller, action: string, request: unknown): Promise<Answered<object>> {
    return perform(this.ports, caller, action, request);
  }
}

export const ROOT: Caller = {
  by: { kind: 'user', name: 'uid 0', from: 'control.sock' },
  role: 'owner',
  user: null,
};
