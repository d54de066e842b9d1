/**
 * What the paths need from the rest of the node: ways to send, what the machine knows of its network, and
 * ears for what is found out. Nothing here waits, but for a relay's latency, a name and what
 * the gateway says by HTTP.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import type { NodePublic } from '../../base/keys.ts';
import type { Millis } from '../../base/time.ts';
import type { NetInfo } from '../../protocol/tailcfg/types.ts';

/** A peer as the map has it. */
export interface PathPeer {
  readonly nodeKey: NodePublic;
  /** 32 bytes; undefined until the peer has told the server. */
  readonly discoKey: Uint8Array | undefined;
  readonly endpoints: readonly Endpoint[];
  /** Region; 0 for none. */
  readonly homeRelay: number;
}

/** How data goes to a peer. */
export interface Way {
  readonly direct: Endpoint | undefined;
  /** Past, or 0: by relay too. */
  readonly trustedUntil: Millis;
}

export type OwnEndpointType = 'local' | 'stun' | 'port-mapped' | 'stun-local-port';

export interface OwnEndpoint {
  readonly endpoint: Endpoint;
  readonly type: OwnEndpointType;
}

/** One question by HTTP. */
export interface GatewayRequest {
  readonly method: 'GET' | 'POST';
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Empty: none. */
  readonly body: string;
  /** Of the answer's body. */
  readonly maxBytes: number;
}

export interface GatewayAnswer {
  /** As it comes: nobody follows a redirect. */
  readonly status: number;
  /** undefined: longer than `maxBytes`. */
  readonly body: Uint8Array | undefined;
}

export interface PathsPorts {
  /** By the tunnel's own sockets, best effort. */
  sendUdp(to: Endpoint, datagram: Uint8Array): void;
  /** false: the region is not connected; a later try may find it so. */
  sendRelay(region: number, peer: NodePublic, datagram: Uint8Array): boolean;
  /** The data plane obeys until the next call. */
  setWay(peer: NodePublic, way: Way): void;
  /** When data last went and came, keepalives too; 0 for never. */
  traffic(peer: NodePublic): { readonly sent: Millis; readonly received: Millis };
  /** The machine's addresses with the tunnel's port; those of the mesh are left out. */
  localEndpoints(): readonly Endpoint[];
  /** The IPv4 default gateway. */
  gateway(): Uint8Array | undefined;
  /** To ask for a port mapping; what comes back goes to `onGateway`. */
  sendGateway(to: Endpoint, datagram: Uint8Array): void;
  /** The same by HTTP, in a connection of its own. Rejects where none comes, and when `signal` says so. */
  askGateway(to: Endpoint, request: GatewayRequest, signal: AbortSignal): Promise<GatewayAnswer>;
  /** Round trip to a region by HTTPS; rejects where it cannot be had. */
  measureRelay(region: number): Promise<Millis>;
  /** Addresses of a relay whose map entry has none; an empty list where there are none. */
  resolve(host: string): Promise<readonly Uint8Array[]>;
  endpointsChanged(endpoints: readonly OwnEndpoint[]): void;
  netInfoChanged(info: NetInfo): void;
  /** The home relay has been chosen. */
  preferRelay(region: number): void;
  /** A peer's disco key changed: it runs anew and has none of the old sessions. */
  restarted(peer: NodePublic): void;
}
