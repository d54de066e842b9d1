/** A registry under test: the model of this moment, a held clock, seeded chance, and short words for requests. */

import type { UnixMillis } from '../../../src/base/time.ts';
import { unixMillis } from '../../../src/base/time.ts';
import { createAuthKey, type NewAuthKey } from '../../../src/control/registry/auth-keys.ts';
import type { Context, Done, Outcome, Refused } from '../../../src/control/registry/change.ts';
import { RANDOM_BYTES } from '../../../src/control/registry/change.ts';
import type { Registered } from '../../../src/control/registry/enroll.ts';
import { register } from '../../../src/control/registry/enroll.ts';
import type { SharedDevice } from '../../../src/control/registry/lan.ts';
import type { MeshNode, Model, Settings, User } from '../../../src/control/registry/model.ts';
import { DEFAULT_SETTINGS, emptyModel } from '../../../src/control/registry/model.ts';
import type { Registration } from '../../../src/control/registry/register.ts';
import { createUser } from '../../../src/control/registry/users.ts';
import type { AccessPolicy } from '../../../src/control/registry/visibility.ts';
import { ownersOnly } from '../../../src/control/registry/visibility.ts';
import type { MachineKeyText, NodeKeyText } from '../../../src/protocol/tailcfg/keys.ts';
import type { Seeded } from '../../seeded.ts';
import { seeded } from '../../seeded.ts';

export const DAY = 86_400_000;

const digits = (n: number): string => n.toString(16).padStart(64, '0');
export const machineKey = (n: number): MachineKeyText => `mkey:${digits(n)}`;
export const nodeKey = (n: number): NodeKeyText => `nodekey:${digits(n)}`;

/** A change, its request bound. */
export type Change<R> = (model: Model, context: Context) => Outcome<R>;

export class World {
  model: Model;
  now: UnixMillis = unixMillis(1_800_000_000_000);
  clockTrusted = true;
  policy: AccessPolicy;
  readonly random: Seeded = seeded(21);

  constructor(settings: Partial<Settings> = {}, policy: AccessPolicy = ownersOnly()) {
    this.model = emptyModel({ ...DEFAULT_SETTINGS, ...settings });
    this.policy = policy;
  }

  context(): Context {
    return {
      now: this.now,
      clockTrusted: this.clockTrusted,
      by: { kind: 'user', name: 'root', from: 'control.sock' },
      random: this.random.bytes(RANDOM_BYTES),
      policy: this.policy,
    };
  }

  /** Makes a change that must succeed. */
  make<R>(change: Change<R>): Done<R> {
    const outcome = change(this.model, this.context());
    if (!outcome.ok) throw new Error(`refused: ${outcome.reason}`);
    this.model = outcome.model;
    return outcome;
  }

  /** Why a change is refused that must be. */
  refusal<R>(change: Change<R>): Refused {
    const outcome = change(this.model, this.context());
    if (outcome.ok) throw new Error('it was not refused');
    return outcome;
  }

  pass(millis: number): void {
    this.now = unixMillis(this.now + millis);
  }

  user(login: string): User {
    return this.make((model, context) => createUser(model, { login }, context)).result;
  }

  authKey(request: Partial<NewAuthKey> & Pick<NewAuthKey, 'user'>): { token: string; id: number } {
    const { result } = this.make((model, context) =>
      createAuthKey(model, { lifetimeMillis: DAY, ...request }, context),
    );
    return { token: result.token, id: result.key.id };
  }

  register(request: Registration): Done<Registered> {
    return this.make((model, context) => register(model, request, context));
  }

  /** A new machine of a user's, or of tags. */
  join(
    n: number,
    user: User | null,
    more: Partial<Registration> = {},
    tags: string[] = [],
  ): MeshNode {
    const { token } = this.authKey({ user: user?.id ?? null, tags });
    const { result } = this.register(registration({ ...machine(n), authKey: token, ...more }));
    if (result.type !== 'member') throw new Error(`${result.type}, not a member`);
    return result.node;
  }
}

export const machine = (n: number): Pick<Registration, 'machine' | 'nodeKey' | 'hostname'> => ({
  machine: machineKey(n),
  nodeKey: nodeKey(n),
  hostname: `host${n}`,
});

export const registration = (
  more: Partial<Registration> & Pick<Registration, 'machine' | 'nodeKey'>,
): Registration => ({
  oldNodeKey: null,
  authKey: '',
  expiry: null,
  followup: null,
  hostname: '',
  requestTags: [],
  announced: [],
  ephemeral: false,
  rotate: false,
  from: '192.0.2.7',
  ...more,
});

export const lan = (id: string, more: Partial<SharedDevice> = {}): SharedDevice => ({
  id,
  kind: 'lan',
  name: id,
  sshPort: 22,
  mode: 'route',
  publicKey: null,
  owner: null,
  ...more,
});
