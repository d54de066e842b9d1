/**
 * What the names need of the world: sockets, the system's own resolver, the interface that our addresses are
 * on. `node-network.ts` and `node-system.ts` fit them with Node alone; a test, or a program that must mark
 * its sockets, puts its own in their place.
 */

import type { HealthItem } from '../../base/health.ts';
import type { ResolverAddress } from '../../protocol/dns/resolver-address.ts';

/** Something open that can be closed, more than once. */
export interface Closable {
  close(): void;
}

/**
 * One end of a conversation. What is sent before it is connected waits; after `closed` nothing is heard, and
 * what is sent is dropped. Nothing is heard before the call that made it has returned.
 */
export interface Wire extends Closable {
  send(bytes: Uint8Array): void;
}

export interface WireEvents {
  /** A datagram, or the next bytes of a stream. */
  heard(bytes: Uint8Array): void;
  /** It is over without us having closed it: refused, unreachable, ended. */
  closed(): void;
}

export interface NamesNetwork {
  /** @throws where the address is not on this machine or its port is taken */
  listenUdp(
    address: Uint8Array,
    port: number,
    heard: (message: Uint8Array, from: Uint8Array, reply: (message: Uint8Array) => void) => void,
  ): Promise<Closable>;
  /** @throws as listenUdp; @param accept is told each connection and gives what hears it */
  listenTcp(
    address: Uint8Array,
    port: number,
    accept: (wire: Wire, from: Uint8Array) => WireEvents,
  ): Promise<Closable>;
  /** A socket with an unpredictable port of its own, that hears `to` alone. */
  askUdp(to: ResolverAddress, events: WireEvents): Wire;
  askTcp(to: ResolverAddress, events: WireEvents): Wire;
}

export type FileKind = 'file' | 'link' | 'absent';

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Files and programs of the system. Errors carry Node's `code`. */
export interface SystemPort {
  kind(path: string): Promise<FileKind>;
  /** The text of a file, through links; undefined where there is none. */
  read(path: string): Promise<string | undefined>;
  /** The names in a folder, sorted; none where there is no folder. */
  list(path: string): Promise<readonly string[]>;
  /** Where a link points, as written in it. */
  linkTarget(path: string): Promise<string>;
  /** A whole new file of mode 0644, with the folder where it lacks; synced. */
  create(path: string, text: string): Promise<void>;
  createLink(path: string, target: string): Promise<void>;
  /** New text for a file that exists, in its place. */
  overwrite(path: string, text: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Nothing where it does not exist. */
  remove(path: string): Promise<void>;
  /** A text that tells this file from others, however it is named: device and inode. */
  identity(path: string): Promise<string | undefined>;
  isMountPoint(path: string): Promise<boolean>;
  /** Runs a program by its argument list; 127 where there is none. */
  run(argv: readonly string[], input?: string): Promise<RunResult>;
  /** Calls `changed` when a file of this name may have changed; a path that cannot be watched is silent. */
  watch(path: string, changed: () => void): Closable;
}

export interface NamesHealth {
  raise(item: HealthItem): void;
  lower(code: string): void;
}

export interface NamesPorts {
  readonly network: NamesNetwork;
  readonly system: SystemPort;
  readonly health: NamesHealth;
  /** The interface that the listening addresses are on; systemd-resolved hangs names on it. */
  readonly interfaceIndex: () => number;
  /** Whether one who asks from this address is answered: programs of this machine, not whoever can send. */
  readonly mayAsk: (from: Uint8Array) => boolean;
  /** Whether an address is this machine's own, loopback too. */
  readonly isOwnAddress: (address: Uint8Array) => boolean;
}

export interface NamesOptions {
  /** 100.100.100.100 and its IPv6 twin; they must be on an interface already. */
  readonly addresses: readonly Uint8Array[];
  /** Default 53. */
  readonly port?: number;
  /** Files of the system; default those of Linux. */
  readonly paths?: Partial<SystemPaths>;
}

export interface SystemPaths {
  readonly resolvConf: string;
  /** Folder of the copy that restores it after a crash. */
  readonly runFolder: string;
  /** What systemd-resolved has learnt of the links, for who wants to ask without it. */
  readonly resolvedUplinks: string;
  /** Records of Debian's resolvconf, one file an interface. */
  readonly resolvconfRecords: string;
}

export const SYSTEM_PATHS: SystemPaths = {
  resolvConf: '/etc/resolv.conf',
  runFolder: '/run/postern',
  resolvedUplinks: '/run/systemd/resolve/resolv.conf',
  resolvconfRecords: '/run/resolvconf/interface',
};
