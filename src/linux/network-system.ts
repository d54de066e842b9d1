/** Addresses, routes, rules, filter and switches of this machine as one: what a router is given of the system. */

import { configureLink, removeAddresses } from './ip.ts';
import { deleteTable, forwardChains, listTable, loadRules, namesInterface } from './nft.ts';
import {
  changeRules,
  changeTable,
  interfaceAddresses,
  policyRules,
  tableRoutes,
} from './policy-routing.ts';
import type { ProcessIdentity } from './process-identity.ts';
import { processIdentity } from './process-identity.ts';
import { listSysctl, readSysctl, writeSysctl } from './sysctl.ts';

export interface NetworkSystem {
  readonly ip: {
    readonly configureLink: typeof configureLink;
    readonly removeAddresses: typeof removeAddresses;
    readonly interfaceAddresses: typeof interfaceAddresses;
    readonly policyRules: typeof policyRules;
    readonly changeRules: typeof changeRules;
    readonly tableRoutes: typeof tableRoutes;
    readonly changeTable: typeof changeTable;
  };
  readonly nft: {
    readonly loadRules: typeof loadRules;
    readonly listTable: typeof listTable;
    readonly deleteTable: typeof deleteTable;
    readonly forwardChains: typeof forwardChains;
    readonly namesInterface: typeof namesInterface;
  };
  readonly sysctl: {
    readonly readSysctl: typeof readSysctl;
    readonly writeSysctl: typeof writeSysctl;
    readonly listSysctl: typeof listSysctl;
  };
  readonly process: ProcessIdentity;
}

/** @param pid our own */
export const networkSystem = (pid: number): NetworkSystem => ({
  ip: {
    ...{ configureLink, removeAddresses, interfaceAddresses },
    ...{ policyRules, changeRules, tableRoutes, changeTable },
  },
  nft: { loadRules, listTable, deleteTable, forwardChains, namesInterface },
  sysctl: { readSysctl, writeSysctl, listSysctl },
  process: processIdentity(pid),
});
