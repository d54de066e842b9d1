/**
 * The timers of active peers. A timer is not an object but a question asked again: `due` looks at a peer's
 * facts and says what to do and when to ask next; the worker wakes us when a mark makes that too late.
 */

import type { Env } from '../../base/env.ts';
import { unreachable } from '../../base/errors.ts';
import type { Millis } from '../../base/time.ts';
import { after, millis, NEVER, seconds } from '../../base/time.ts';
import type { TimerAction } from '../../protocol/wireguard/timers.ts';
import { due } from '../../protocol/wireguard/timers.ts';
import type { ActivePeers } from './active.ts';
import type { Handshakes } from './handshakes.ts';
import type { Peer } from './peer.ts';
import type { PlaneLink } from './ports.ts';

/** What was done may be late in showing in the marks, and what could not be done stays due. */
const LOOK_AGAIN: Millis = seconds(1);

export interface TimerPorts {
  readonly active: ActivePeers;
  readonly handshakes: Handshakes;
  readonly link: PlaneLink;
  dropKeypairs(peer: Peer): void;
}

export class PeerTimers {
  readonly #env: Env;
  readonly #ports: TimerPorts;

  constructor(env: Env, ports: TimerPorts) {
    this.#env = env;
    this.#ports = ports;
  }

  /** Does what is due, and sets the next look. */
  check(peer: Peer): void {
    if (peer.slot < 0) return;
    const { active, handshakes } = this.#ports;
    const now = this.#env.now();
    const { actions, checkAt } = due({ ...active.marks(peer), ...handshakes.facts(peer) }, now);
    const soon = actions.length > 0 ? after(now, LOOK_AGAIN) : NEVER;
    const next = millis(Math.min(soon, checkAt));
    active.setCheck(peer, next);
    this.cancel(peer);
    if (next !== NEVER) peer.cancelTimer = this.#env.setTimer(next, () => this.check(peer));
    for (const action of actions) this.#act(peer, action);
  }

  cancel(peer: Peer): void {
    peer.cancelTimer?.();
    peer.cancelTimer = null;
  }

  #act(peer: Peer, action: TimerAction): void {
    const { handshakes, link } = this.#ports;
    switch (action) {
      case 'send keepalive':
        link.send({ type: 'keepalive', slot: peer.slot });
        return;
      case 'send persistent keepalive':
        if (handshakes.facts(peer).hasKeypair) link.send({ type: 'keepalive', slot: peer.slot });
        else handshakes.initiate(peer);
        return;
      case 'initiate':
        handshakes.initiate(peer);
        return;
      case 'retry initiation':
        handshakes.retry(peer);
        return;
      case 'give up':
        handshakes.giveUp(peer);
        link.send({ type: 'give-up', peer: peer.number });
        return;
      case 'wipe keypairs':
        this.#ports.dropKeypairs(peer);
        return;
      default:
        unreachable(action);
    }
  }
}
