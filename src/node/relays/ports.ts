/** What the relay link needs of the program around it, and what it tells of itself. */

import type { Duplex } from 'node:stream';
import type { NodePublic } from '../../base/keys.ts';
import type { Millis } from '../../base/time.ts';
import type { GoneReason } from '../../protocol/derp/client.ts';
import type { DERPNode } from '../../protocol/tailcfg/types.ts';

/**
 *     connecting   it is being dialled, or waits until it is dialled again
 *     connected    packets go through it
 *     lost         it was connected; or is no longer wanted, with the reason
 */
export type RelayChange = 'connecting' | 'connected' | 'lost';

export interface RelaysPorts {
  /** TLS done, certificate judged; ready for an HTTP request. Rejects with words for a person. */
  dial(node: DERPNode): Promise<Duplex>;
  /** @param datagram valid only during the call */
  packet(region: number, source: NodePublic, datagram: Uint8Array): void;
  /** After the packets of one read: the data plane is woken once. */
  batchEnd(): void;
  gone(region: number, peer: NodePublic, reason: GoneReason): void;
  changed(region: number, state: RelayChange, reason?: string): void;
}

export interface RelayStatus {
  readonly region: number;
  /** `home`, as the map calls it. */
  readonly code: string;
  readonly home: boolean;
  readonly state: 'idle' | 'connecting' | 'connected' | 'waiting';
  /** HostName of the node that we are connected to. */
  readonly host: string | undefined;
  /** Since when it is connected. */
  readonly since: Millis | undefined;
  /** When the next try is due, while waiting. */
  readonly retryAt: Millis | undefined;
  /** Why the last connection or try ended. */
  readonly reason: string | undefined;
  /** What the relay says is wrong with this connection. */
  readonly health: string | undefined;
  readonly queuedBytes: number;
}

/** Since start, over all regions. */
export interface RelayCounters {
  packetsIn: number;
  bytesIn: number;
  packetsOut: number;
  bytesOut: number;
  /** Chunks read, and writes: packets in one write share its cost. */
  reads: number;
  writes: number;
  /** Connections that greeted well, and those that did not or ended. */
  joined: number;
  lost: number;
  /** Packets that had to make room for newer ones. */
  droppedFull: number;
  /** Packets of a write that was under way when its connection ended. */
  lostUnderWay: number;
  /** For a region that the map does not have, without a key, or longer than a relay carries. */
  droppedUnsendable: number;
  unknownFrames: number;
  /** Why connections and tries ended. */
  readonly ended: Record<string, number>;
}

export const newCounters = (): RelayCounters => ({
  packetsIn: 0,
  bytesIn: 0,
  packetsOut: 0,
  bytesOut: 0,
  reads: 0,
  writes: 0,
  joined: 0,
  lost: 0,
  droppedFull: 0,
  lostUnderWay: 0,
  droppedUnsendable: 0,
  unknownFrames: 0,
  ended: {},
});

export function countEnd({ ended }: RelayCounters, kind: string): void {
  ended[kind] = (ended[kind] ?? 0) + 1;
}
