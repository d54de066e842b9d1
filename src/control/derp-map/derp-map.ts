/**
 * The relays that the map names: the embedded one as region 900, and those of files and URLs.
 *
 *     own      HostName and addresses of the control URL, port of the URL, the certificate pinned by its
 *              SHA-256 where no authority vouches for it
 *     others   as they stand; two regions of one number are a fault, since a client would take one of them
 *
 * Source: reference/protocol.md 4.2.
 */

import { ConfigError } from '../../base/errors.ts';
import { IPV4_BYTES, parseIp } from '../../base/ip.ts';
import type { DERPMap, DERPNode, DERPRegion } from '../../protocol/tailcfg/types.ts';
import type { Read } from '../../protocol/tailcfg/validate.ts';
import { read } from '../../protocol/tailcfg/validate.ts';
import { DERP_MAP } from '../../protocol/tailcfg/vocabulary.ts';
import type { ControlUrl } from '../settings/control-url.ts';

export const OWN_REGION = 900;
/** A relay map that is longer is none. */
export const MAX_MAP_BYTES: number = 1024 * 1024;

export interface OwnRelay {
  readonly url: ControlUrl;
  /** Hexadecimal; undefined: clients trust the certificate's authority. */
  readonly pin: string | undefined;
  /** Port of STUN; undefined: none. */
  readonly stunPort: number | undefined;
  /** Port 80 is ours too, for the check for captive portals. */
  readonly port80: boolean;
}

export function ownRegion({ url, pin, stunPort, port80 }: OwnRelay): DERPRegion {
  return {
    RegionID: OWN_REGION,
    RegionCode: 'postern',
    RegionName: 'Postern',
    Nodes: [
      {
        Name: `${OWN_REGION}a`,
        RegionID: OWN_REGION,
        HostName: url.host,
        ...literalOf(url.host),
        ...(pin === undefined ? {} : { CertName: `sha256-raw:${pin}` }),
        DERPPort: url.port,
        STUNPort: stunPort ?? -1,
        ...(port80 ? { CanPort80: true } : {}),
      },
    ],
  };
}

/**
 * An address stands for itself, and the family that it is not of for nothing: left out, a client would look for
 * it by name, and wait 3 s for an answer before it is Running. A name is for clients to look up.
 */
function literalOf(host: string): Pick<DERPNode, 'IPv4' | 'IPv6'> {
  const bytes = parseIp(host);
  if (bytes === undefined) return {};
  return bytes.length === IPV4_BYTES ? { IPv4: host, IPv6: 'none' } : { IPv4: 'none', IPv6: host };
}

/** @throws ConfigError where two have a region of the same number, or there is none at all */
export function joined(own: DERPRegion | undefined, others: readonly DERPMap[]): DERPMap {
  const regions: Record<string, DERPRegion> = {};
  const all = [...(own ? [own] : []), ...others.flatMap(({ Regions }) => Object.values(Regions))];
  for (const region of all) {
    if (regions[region.RegionID] !== undefined)
      throw new ConfigError(`control: two relay maps have a region ${region.RegionID}`);
    regions[region.RegionID] = region;
  }
  if (all.length === 0)
    throw new ConfigError(
      'control: there is no relay; clients need one: leave the own one on, or name another with --derp-map',
    );
  return { Regions: regions };
}

/** @throws ConfigError that names `source` */
export function readDerpMap(source: string, bytes: Uint8Array): DERPMap {
  const got: Read<DERPMap> = read('DERPMap', DERP_MAP, bytes, MAX_MAP_BYTES);
  if (!('value' in got)) throw new ConfigError(`${source}: ${got.reason}: ${got.detail}`);
  for (const [key, { RegionID }] of Object.entries(got.value.Regions))
    if (String(RegionID) !== key)
      throw new ConfigError(`${source}: region ${key} says of itself that it is ${RegionID}`);
  return got.value;
}
