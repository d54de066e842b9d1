/**
 * What the session needs of the system and of other rooms; the joint (src/*.ts) fits it by shape.
 */

import type { Socket } from 'node:net';
import type { Env } from '../../base/env.ts';
import type { Health } from '../../base/health.ts';
import type { DiscoPublic } from '../../base/keys.ts';
import type { PingRequest } from '../../protocol/tailcfg/map-types.ts';
import type { Hostinfo } from '../../protocol/tailcfg/types.ts';
import type { FilePort } from '../../store/safe-file.ts';

export interface ControlPorts {
  readonly env: Env;
  /**
   * A connected TCP socket whose packets do not go through our own tunnel. One that comes after `signal` has
   * fired is destroyed by the caller.
   */
  dial(host: string, port: number, signal: AbortSignal): Promise<Socket>;
  /** Certificates in PEM that count beside the system's. */
  readonly trusted?: readonly string[];
}

export interface SessionPorts extends ControlPorts {
  readonly files: FilePort;
  /** Of the state; made where it is missing, and locked. */
  readonly folder: string;
  readonly health: Pick<Health, 'raise' | 'lower'>;
  /** What the board says of itself: OS, distribution, machine, version; what prefs decide is put in here. */
  readonly board: Hostinfo;
  /** New with each start. */
  readonly discoKey: DiscoPublic;
  /** A time server has confirmed the wall clock. */
  clockTrusted(): boolean;
  /** Answers a ping of another kind than "are you there"; undefined: it is not answered. */
  probe?(request: PingRequest): Promise<Uint8Array | undefined>;
}
