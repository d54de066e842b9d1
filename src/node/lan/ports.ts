/** What LAN devices need from other rooms and the system; the program joins them by shape. */

import type { Prefix } from '../../base/prefix.ts';
import type { AllottedDevice, ReportedDevice } from '../../protocol/tailcfg/lan.ts';

export interface LanPorts {
  /**
   * Tells the server all that is shared, and what it gave each of them.
   *
   * @throws NetError to try again later, any other error where the server will not have it
   */
  report(devices: readonly ReportedDevice[]): Promise<readonly AllottedDevice[]>;
  /** The mapping, or what `list` says, is another one. Never during a call of ours. */
  changed(): void;
}

/** Where the machine stands now. */
export interface LanSurroundings {
  /** Networks of its interfaces, the tunnel's not among them. */
  readonly networks: readonly Prefix[];
  /** Its own addresses, on whatever interface. */
  readonly own: readonly Uint8Array[];
}
