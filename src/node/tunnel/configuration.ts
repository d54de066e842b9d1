/**
 * What a person sets of a WireGuard interface, and what they may read back. The fields are those of the
 * cross-platform userspace interface (UAPI), whose rules for absence hold: what a change leaves out stays.
 *
 * Source: wireguard.com/xplatform.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import type { NodePrivate, NodePublic, PresharedKey } from '../../base/keys.ts';
import type { Prefix } from '../../base/prefix.ts';
import type { UnixMillis } from '../../base/time.ts';

export interface InterfaceChange {
  /** Null removes the key. */
  readonly privateKey?: NodePrivate | null;
  /** 0: the kernel chooses. */
  readonly listenPort?: number;
  /** 0 removes the mark. */
  readonly fwmark?: number;
  /** Every peer that is not named in `peers` goes. */
  readonly replacePeers?: boolean;
  /** In order; a peer may be named more than once. */
  readonly peers: readonly PeerChange[];
}

export interface PeerChange {
  readonly publicKey: NodePublic;
  readonly remove?: boolean;
  /** Only if the peer is there already. */
  readonly updateOnly?: boolean;
  /** Null removes it. */
  readonly presharedKey?: PresharedKey | null;
  readonly endpoint?: Endpoint;
  /** 0 turns it off; at most 65,535. */
  readonly persistentKeepaliveSeconds?: number;
  readonly replaceAllowedIps?: boolean;
  /** In order. `remove` takes the prefix from this peer only. */
  readonly allowedIps: readonly { readonly prefix: Prefix; readonly remove: boolean }[];
}

export interface InterfaceStatus {
  readonly privateKey: NodePrivate | null;
  /** The port in use, 0 while there is no socket. */
  readonly listenPort: number;
  readonly fwmark: number;
  readonly peers: readonly PeerStatus[];
}

export interface PeerStatus {
  readonly publicKey: NodePublic;
  readonly presharedKey: PresharedKey | null;
  readonly endpoint: Endpoint | undefined;
  /** 0: never. */
  readonly lastHandshake: UnixMillis;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly persistentKeepaliveSeconds: number;
  readonly allowedIps: readonly Prefix[];
}

/** What fits the UAPI socket: the tunnel. */
export interface ConfigurableInterface {
  /**
   * Applies a whole change; earlier parts are not undone where a later one fails.
   *
   * @throws NetError with `code` (EADDRINUSE and so on) where the listen port cannot be had
   */
  configure(change: InterfaceChange): void;
  status(): InterfaceStatus;
}
