/** What the router is told: who we are, what lies behind the tunnel, and what lies behind us. */

import type { Prefix } from '../../base/prefix.ts';

export interface RouterSetting {
  /** Our own, /32 and /128, on the tunnel interface. Empty: interface and MTU are somebody else's. */
  readonly addresses: readonly Prefix[];
  /** By the tunnel: addresses of peers, and accepted routes. A /0 counts only with `exit`. */
  readonly routes: readonly Prefix[];
  /** All other traffic goes by the tunnel too. */
  readonly exit: boolean;
  /** With `exit`: so does what goes to this machine's own LANs, but not to those that we forward to. */
  readonly lanByExit: boolean;
  /** What we forward to from the tunnel; a /0 makes us an exit node. */
  readonly advertised: readonly Advertised[];
  /** Mesh addresses that stand for a machine of the LAN, both of one family. */
  readonly lan: readonly LanDevice[];
  /** Of the tunnel interface. */
  readonly mtuBytes: number;
}

export interface Advertised {
  readonly prefix: Prefix;
  /** Packets go on under our own address, so that the LAN needs no way back to the mesh. */
  readonly snat: boolean;
}

export interface LanDevice {
  readonly mesh: Uint8Array;
  readonly lan: Uint8Array;
}

export const NOTHING: RouterSetting = {
  addresses: [],
  routes: [],
  exit: false,
  lanByExit: false,
  advertised: [],
  lan: [],
  mtuBytes: 1280,
};

export function sameSetting(a: RouterSetting, b: RouterSetting): boolean {
  return textOf(a) === textOf(b);
}

/** Bytes as arrays, which JSON writes in full. */
function textOf(setting: RouterSetting): string {
  return JSON.stringify(setting, (_, value: unknown) =>
    value instanceof Uint8Array ? value.toHex() : value,
  );
}
