/**
 * What the main thread tells the relay's worker, and what the worker reports. Messages keep their order.
 *
 *     main                        worker
 *       start (worker data)  ->     binds, then `listening`, or `fault` and its end
 *       admit, forget        ->     who may be a client; nobody may at first
 *       report               ->     `report`
 *       stop                 ->     clients are told to come back, then `stopped` and its end
 *
 * What is neither DERP nor one of the relay's few paths goes to the unix socket `others`, TLS taken off, with
 * one line in front that says where it came from (origin.ts).
 */

import type { StunDrop } from '../../protocol/disco/stun.ts';

export interface ListenAddress {
  /** An IP address; `0.0.0.0` and `::` for all. `::` alone takes IPv4 too. */
  readonly host: string;
  readonly port: number;
}

/** Two texts, or two files that are read again when they change. PEM both. */
export type CertificateSource =
  | { readonly type: 'text'; readonly certificate: string; readonly key: string }
  | { readonly type: 'files'; readonly certificate: string; readonly key: string };

export interface RelayStart {
  readonly listen: readonly ListenAddress[];
  readonly stun: readonly ListenAddress[];
  readonly certificate: CertificateSource;
  /** The relay's own Curve25519 key, 32 bytes; wiped here when it has been taken in. */
  readonly privateKey: Uint8Array;
  /** Path of the unix socket for everything else. */
  readonly others: string;
  readonly limits?: {
    /** Bytes that wait for one client. */
    readonly queuedBytes?: number;
    /** Of one client, in both cases. */
    readonly bytesPerSecond?: number;
    readonly burstBytes?: number;
    /** TCP connections in all. */
    readonly connections?: number;
  };
}

export type RelayCommand =
  /** @property keys node keys, 32 bytes each */
  | { readonly type: 'admit'; readonly keys: readonly Uint8Array[] }
  /** Connections under these keys end at once. */
  | { readonly type: 'forget'; readonly keys: readonly Uint8Array[] }
  | { readonly type: 'report' }
  | { readonly type: 'stop' };

export type RelayEvent =
  | {
      readonly type: 'listening';
      readonly listen: readonly ListenAddress[];
      readonly stun: readonly ListenAddress[];
      /** Hexadecimal SHA-256 of the certificate: what follows `sha256-raw:` in a map. */
      readonly certificateSha256: string;
    }
  /** Another certificate was read from the files. */
  | { readonly type: 'certificate'; readonly certificateSha256: string }
  | { readonly type: 'client'; readonly key: Uint8Array; readonly remote: string }
  /** @property connections that the same key still has */
  | {
      readonly type: 'gone';
      readonly key: Uint8Array;
      readonly reason: string;
      readonly connections: number;
    }
  /** What a person must act on; `over`: no longer. */
  | { readonly type: 'fault'; readonly what: RelayFault; readonly text: string }
  | { readonly type: 'over'; readonly what: RelayFault }
  | { readonly type: 'report'; readonly report: RelayReport }
  | { readonly type: 'stopped' };

export type RelayFault = 'relay-listen' | 'relay-stun' | 'relay-certificate' | 'relay-others';

/** Counters since start, and how many there are now. */
export interface RelayReport {
  readonly connections: number;
  readonly clients: number;
  readonly packets: number;
  readonly packetBytes: number;
  readonly dropped: number;
  readonly urgentDropped: number;
  readonly notHere: number;
  readonly unknownFrames: number;
  readonly disputes: number;
  readonly writes: number;
  readonly forwarded: number;
  readonly stunAnswers: number;
  /** Connections and datagrams that came to nothing, by reason. */
  readonly refused: Readonly<Record<string, number>>;
}

export type RelayRefusal =
  | StunDrop
  | 'front: too many connections'
  | 'front: too slow'
  | 'front: TLS failed'
  | 'front: connection broken'
  | 'front: nobody behind'
  | 'derp: not admitted'
  | (string & {});
