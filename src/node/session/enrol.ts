/**
 * From "no member" to "member", or to a member with another key: the dialogue of register requests.
 *
 *     wish      kind     key that is offered        a URL in the answer
 *     login     resume   today's                    is shown, and waited for
 *               login    today's, with an auth key  is shown, and waited for
 *               force    a new one                  is shown, and waited for; today's key serves meanwhile
 *     rotation  rotate   a new one                  not granted: today's key stays
 *
 *     NodeKeyExpired     another key, once
 *     429                when the server says
 *
 * A new key is on the disk before it is offered (identity.ts). Whose follow-up is cut off asks for the same login
 * again, so that a URL that a person has open stays good.
 *
 * Source: reference/protocol.md 2.
 */

import { DeniedError } from '../../base/errors.ts';
import type { Hostinfo } from '../../protocol/tailcfg/types.ts';
import type { Backoff } from './backoff.ts';
import type { ControlClient } from './control-client.ts';
import { pause } from './deadline.ts';
import type { NodeKey } from './identity.ts';
import type { Keys } from './keys.ts';
import type { SessionPorts } from './ports.ts';
import type { Registration } from './register.ts';
import { register } from './register.ts';

export type WishKind = 'resume' | 'login' | 'force' | 'rotate';

export interface Wish {
  readonly kind: WishKind;
  readonly authKey: string | undefined;
  /** The login that a person may have open. */
  followup: string | undefined;
  /** It is granted, or a person has been asked. */
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

/** One that nobody waits for. */
export const ownWish = (kind: WishKind): Wish => ({
  kind,
  authKey: undefined,
  followup: undefined,
  done: () => {},
  failed: () => {},
});

export interface EnrolHost {
  readonly ports: Pick<SessionPorts, 'env'>;
  readonly keys: Pick<Keys, 'identity' | 'candidate' | 'dropCandidate'>;
  hostinfo(): Hostinfo;
  readonly ephemeral: boolean;
  accepted(key: NodeKey): Promise<void>;
  askPerson(url: string | undefined): void;
}

/**
 * @returns whether the key that was offered is a member's now; false for a rotation that is not granted
 * @throws DeniedError with the server's words; NetError; the signal's reason
 */
export async function enrol(
  host: EnrolHost,
  client: ControlClient,
  wish: Wish,
  backoff: Backoff,
  signal: AbortSignal,
): Promise<boolean> {
  const { keys } = host;
  const { identity } = keys;
  const { env } = host.ports;
  const isNew = wish.kind === 'force' || wish.kind === 'rotate' || identity.candidate !== undefined;
  let key = isNew ? await keys.candidate() : identity.node;
  if (key === undefined)
    throw new DeniedError('a new key cannot be kept: the state folder cannot be written to');
  let renewed = false;
  for (;;) {
    const answer = await register(client, registrationOf(host, key, wish), signal);
    switch (answer.type) {
      case 'member':
        wish.followup = undefined;
        host.askPerson(undefined);
        await host.accepted(key);
        return true;
      case 'url':
        if (wish.kind === 'rotate') {
          await keys.dropCandidate();
          return false;
        }
        if (answer.url === wish.followup) await pause(env, backoff.next(), signal);
        wish.followup = answer.url;
        host.askPerson(answer.url);
        wish.done();
        break;
      case 'key expired': {
        if (renewed) throw new DeniedError('the server says that a key has expired that is new');
        renewed = true;
        if (key !== identity.node) await keys.dropCandidate();
        const fresh = await keys.candidate();
        if (fresh === undefined) throw new DeniedError('a new key cannot be kept');
        key = fresh;
        break;
      }
      case 'later':
        env.log.info('session: the server asks to wait', {
          seconds: answer.wait / 1000,
          text: answer.text,
        });
        await pause(env, backoff.next(answer.wait), signal);
        break;
      case 'refused':
        if (key !== identity.node) await keys.dropCandidate();
        wish.followup = undefined;
        host.askPerson(undefined);
        throw new DeniedError(answer.text);
    }
  }
}

function registrationOf(host: EnrolHost, key: NodeKey, wish: Wish): Registration {
  const { node } = host.keys.identity;
  return {
    nodeKey: key.text,
    oldNodeKey: key.text === node.text ? undefined : node.text,
    ...(wish.followup === undefined ? { authKey: wish.authKey } : { followup: wish.followup }),
    hostinfo: host.hostinfo(),
    ephemeral: host.ephemeral,
    rotate: wish.kind === 'rotate',
  };
}
