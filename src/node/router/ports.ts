/** What the router needs of the system; src/linux fits these by shape. */

import type { Env } from '../../base/env.ts';
import type { Prefix } from '../../base/prefix.ts';

export type Family = 4 | 6;

export interface Mark {
  readonly value: number;
  readonly mask: number;
}

/** A policy rule of ours (linux/policy-routing.ts). */
export interface PolicyRule {
  readonly family: Family;
  readonly priority: number;
  readonly mark: Mark | undefined;
  readonly not: boolean;
  /** Undefined: unreachable. */
  readonly table: number | undefined;
}

/** A policy rule that is there; `more`: it says more than this shape can. */
export interface KnownRule extends PolicyRule {
  readonly more: boolean;
}

export interface TableRoute {
  readonly prefix: Prefix;
  readonly kind: 'unicast' | 'throw' | 'other';
  readonly device: string | undefined;
}

export interface InterfaceAddress {
  readonly interface: string;
  readonly address: Uint8Array;
}

/** `ip`. All throw ConfigError or NetError in words for a person. */
export interface IpPort {
  configureLink(
    name: string,
    setting: { addresses: readonly Prefix[]; mtuBytes: number; up: boolean },
  ): Promise<void>;
  removeAddresses(name: string, addresses: readonly Prefix[]): Promise<void>;
  interfaceAddresses(): Promise<readonly InterfaceAddress[]>;
  policyRules(families: readonly Family[]): Promise<readonly KnownRule[]>;
  changeRules(add: readonly PolicyRule[], remove: readonly PolicyRule[]): Promise<void>;
  tableRoutes(table: number, families: readonly Family[]): Promise<readonly TableRoute[]>;
  changeTable(
    table: number,
    put: readonly TableRoute[],
    remove: readonly TableRoute[],
  ): Promise<void>;
}

/** A chain of whatever program that all forwarded packets pass (linux/nft.ts). */
export interface ForwardChain {
  /** `ip filter` */
  readonly table: string;
  readonly name: string;
  readonly policy: 'accept' | 'drop';
}

/** `nft`; our own tables are of the family inet. */
export interface NftPort {
  loadRules(script: string): Promise<void>;
  /** As the kernel has it, without counters; undefined where there is none. */
  listTable(table: string): Promise<string | undefined>;
  deleteTable(table: string): Promise<void>;
  forwardChains(): Promise<readonly ForwardChain[]>;
  /** Whether a rule of the table, as `ip filter`, names the interface. */
  namesInterface(table: string, device: string): Promise<boolean>;
}

/** Switches by their path below /proc/sys. */
export interface SysctlPort {
  readSysctl(key: string): Promise<string | undefined>;
  writeSysctl(key: string, value: string): Promise<boolean>;
  listSysctl(folder: string): Promise<readonly string[]>;
}

/** Who we are among the processes that may have left something. */
export interface ProcessPort {
  /** Unique while the machine is up. */
  readonly id: string;
  /** The network namespace. */
  readonly network: string;
  isAlive(id: string): boolean;
}

/** What of the network has changed (linux/network-watch.ts), or of packet filters (linux/filter-watch.ts). */
export type NetworkChange = 'link' | 'address' | 'route' | 'rule' | 'filter';

export interface RouterPorts {
  readonly env: Env;
  readonly ip: IpPort;
  readonly nft: NftPort;
  readonly sysctl: SysctlPort;
  readonly process: ProcessPort;
  /** Calls `onChange` for each change by anyone, us too, until the result is called. */
  watch(onChange: (kind: NetworkChange) => void): () => void;
}
