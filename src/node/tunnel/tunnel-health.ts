/**
 * The health of a tunnel: each method is told one fact, whenever it may have changed, and raises or lowers the
 * item that hangs on it.
 *
 *     aead-fallback       warning   packets are sealed by a slower way, and nobody has chosen it
 *     time-stamp-bound    warning   the disk does not keep how far our time stamps have come
 *     listen-port         error     there is no socket, so there is no tunnel
 *     gso-off             notice    the kernel has refused to split what we send
 *     interface-down      notice    somebody has set the interface down, or not up yet
 */

import type { HealthItem } from '../../base/health.ts';
import { Health } from '../../base/health.ts';
import type { Log } from '../../base/log.ts';

/** What a kernel may refuse in the midst of it, for each family. */
export interface Gso {
  readonly udp4: boolean;
  readonly udp6: boolean;
}

const FASTEST = 'openssl-batch';

export class TunnelHealth {
  readonly #name: string;
  readonly #health: Health;

  constructor(name: string, log: Log) {
    this.#name = name;
    this.#health = new Health(log);
  }

  items(): readonly HealthItem[] {
    return this.#health.items();
  }

  /**
   * @param passedOver faster ones, each with its reason
   * @param chosen a person has named it, and knows
   */
  sealing(aead: string, passedOver: readonly string[], chosen: boolean): void {
    this.#set('aead-fallback', aead !== FASTEST && !chosen, {
      severity: 'warning',
      text: `packets are sealed by ${aead}, which is slower (passed over: ${passedOver.join('; ')})`,
      remedy:
        'run Postern with the Node it is made for (postern version), or name this one by --aead',
    });
  }

  /** @param failure why the last write failed; undefined where it did not */
  boundStored(failure: string | undefined): void {
    this.#set('time-stamp-bound', failure !== undefined, {
      severity: 'warning',
      text: `the bound of our time stamps is not stored (${failure}): after a restart with a clock that went back, peers refuse us`,
      remedy: 'free the disk, or name a folder that can be written by POSTERN_STATE',
    });
  }

  /** @param failure why there is no socket; undefined where there is one, or where none is wanted */
  listening(failure: string | undefined): void {
    this.#set('listen-port', failure !== undefined, {
      severity: 'error',
      text: `the tunnel is down: ${failure}`,
      remedy: `end what holds the port (ss -lunp shows it), or choose another: wg set ${this.#name} listen-port 0`,
    });
  }

  /**
   * @param opened what the sockets began with
   * @param now what is left of it
   */
  gso(opened: Gso, now: Gso): void {
    const lost = [
      ...(opened.udp4 && !now.udp4 ? ['IPv4'] : []),
      ...(opened.udp6 && !now.udp6 ? ['IPv6'] : []),
    ];
    this.#set('gso-off', lost.length > 0, {
      severity: 'notice',
      text: `datagrams leave one by one over ${lost.join(' and ')}: the network interface refused to split them`,
      remedy: `nothing breaks; for speed, give the outer interface checksum offload (ethtool -K DEVICE tx on), then set ${this.#name} down and up`,
    });
  }

  link(up: boolean): void {
    this.#set('interface-down', !up, {
      severity: 'notice',
      text: `the interface ${this.#name} is down, so nothing is sent or received`,
      remedy: `ip link set ${this.#name} up`,
    });
  }

  #set(code: string, raised: boolean, item: Omit<HealthItem, 'code'>): void {
    if (raised) this.#health.raise({ code, ...item });
    else this.#health.lower(code);
  }
}
