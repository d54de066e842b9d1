/**
 * Reads a map as a node must: what is well is kept, what is at fault is left out by the smallest part that can
 * be left out safely, and each part is counted. One bad peer must not cost us the others.
 *
 *     body -> size, UTF-8, depth, JSON (validate.ts) -> well as a whole? that is it, and the usual case
 *                                                    -> else field by field, element by element
 *
 *     a field whose loss would give somebody more than the server meant takes its holder with it:
 *         Node      ID, Key, Addresses, KeyExpiry, Expired, MachineAuthorized        the whole node
 *         a rule of a filter, a patch, a profile                                     the rule, the patch, the profile
 *         a rule of SSHPolicy                                 it and all behind it, since it may have been a refusal
 *
 * Lists that are too long keep their beginning. Nothing here looks at what a map means; that is claims.ts.
 */

import type { FilterRule, MapResponse, SSHPolicy } from './map-types.ts';
import { MAP_RESPONSE, MAX_NODES } from './map-vocabulary.ts';
import type { Shape } from './shape.ts';
import { leaf } from './shape.ts';
import type { DERPMap, DNSConfig, Hostinfo, Node } from './types.ts';
import type { BodyDrop } from './validate.ts';
import { MAX_MAP_BYTES, read } from './validate.ts';

export type Salvaged =
  /** `lost`: a path and a kind for each part that was left out, never a text that was sent; empty: all is well. */
  | { readonly map: MapResponse; readonly lost: readonly string[] }
  | { readonly reason: BodyDrop; readonly detail: string };

/** More words say no more. */
const MAX_LOST = 64;
/** As the shape allows; what a peer has more of is of no use to anybody. */
const MAX_ENDPOINTS = 256;
const MAX_ALLOWED = 65_536;

type Fields = Readonly<Record<string, unknown>>;

const ANYTHING: Shape<Fields> = leaf<Fields>('an object', isObject);

/** One map of a stream, without frame and compression. Never throws. */
export function salvageMap(body: Uint8Array): Salvaged {
  const found = read('MapResponse', ANYTHING, body, MAX_MAP_BYTES);
  if ('reason' in found) return found;
  const value = found.value;
  if (MAP_RESPONSE.fault(value, false) === undefined)
    return { map: MAP_RESPONSE.copy(value as MapResponse), lost: [] };
  const lost: string[] = [];
  const map = MAP_RESPONSE.copy(new Salvage(lost).map(value));
  return { map, lost };
}

class Salvage {
  readonly #lost: string[];

  constructor(lost: string[]) {
    this.#lost = lost;
  }

  map(value: Fields): MapResponse {
    const kept: Record<string, unknown> = {};
    for (const [name, inside] of Object.entries(value)) {
      if (inside === null || inside === undefined) continue;
      if (fieldFault(name, inside) === undefined) kept[name] = inside;
      else {
        const rescued = this.#field(name, inside);
        if (rescued !== undefined) kept[name] = rescued;
      }
    }
    return kept as MapResponse;
  }

  /** What can be kept of a field at fault; undefined for nothing. */
  #field(name: string, value: unknown): unknown {
    switch (name) {
      case 'Node':
        return this.#node(value, 'Node');
      case 'Peers':
      case 'PeersChanged':
        return this.#list(name, value, MAX_NODES).flatMap(
          (one, i) => this.#node(one, `${name}[${i}]`) ?? [],
        );
      case 'PeersRemoved':
      case 'PeersChangedPatch':
      case 'UserProfiles':
      case 'Health':
      case 'PacketFilter':
        return this.#elements(name, value);
      case 'PeerSeenChange':
      case 'OnlineChange':
      case 'DisplayMessages':
        return this.#entries(name, value, (inside) => ({ [name]: inside }));
      case 'PacketFilters':
        return this.#filters(value);
      case 'SSHPolicy':
        return this.#sshPolicy(value);
      case 'DERPMap':
        return this.#derpMap(value);
      case 'DNSConfig':
        return this.#dns(value);
      default:
        this.#lose(`.${name}`, fieldFault(name, value));
        return undefined;
    }
  }

  #list(name: string, value: unknown, most: number): readonly unknown[] {
    if (Array.isArray(value)) {
      if (value.length > most) this.#lose(`.${name}`, `: ${value.length - most} too many`);
      return value.slice(0, most);
    }
    this.#lose(`.${name}`, ': is no list');
    return [];
  }

  #elements(name: string, value: unknown): readonly unknown[] {
    return this.#list(name, value, MAX_NODES).filter((one, i) => {
      const fault = fieldFault(name, [one]);
      if (fault !== undefined) this.#lose(`.${name}[${i}]`, fault);
      return fault === undefined;
    });
  }

  /** Those entries of an object with which `wrap` makes a map that is well. */
  #entries(name: string, value: unknown, wrap: (inside: Fields) => Fields): Fields {
    if (!isObject(value)) {
      this.#lose(`.${name}`, ': is no object');
      return {};
    }
    const kept = Object.entries(value).filter(([key, one]) => {
      const fault = MAP_RESPONSE.fault(wrap({ [key]: one }), false);
      if (fault !== undefined) this.#lose(`.${name}[…]`, fault);
      return fault === undefined;
    });
    return Object.fromEntries(kept.slice(0, MAX_NODES));
  }

  /** A chunk of which nothing is left stays, as an empty one: what it allowed before is over. */
  #filters(value: unknown): unknown {
    if (!isObject(value)) return this.#entries('PacketFilters', value, (inside) => inside);
    const chunks = Object.entries(value).map(([name, rules]): [string, unknown] => {
      if (rules === null) return [name, null];
      return [name, this.#elements('PacketFilter', rules) as readonly FilterRule[]];
    });
    const whole = Object.fromEntries(chunks);
    return this.#entries('PacketFilters', whole, (inside) => ({ PacketFilters: inside }));
  }

  #sshPolicy(value: unknown): SSHPolicy {
    const rules = isObject(value) && Array.isArray(value['rules']) ? value['rules'] : [];
    const isWell = (rule: unknown): boolean =>
      fieldFault('SSHPolicy', { rules: [rule] }) === undefined;
    const bad = rules.findIndex((rule) => !isWell(rule));
    this.#lose('.SSHPolicy', bad < 0 ? ': is no policy' : `.rules[${bad}] and what is behind it`);
    return { rules: bad < 0 ? [] : rules.slice(0, bad) };
  }

  #derpMap(value: unknown): DERPMap | undefined {
    if (!isObject(value)) {
      this.#lose('.DERPMap', ': is no object');
      return undefined;
    }
    const Regions = this.#entries('DERPMap.Regions', value['Regions'], (inside) => ({
      DERPMap: { Regions: inside },
    }));
    return { Regions } as DERPMap;
  }

  #dns(value: unknown): DNSConfig {
    const kept: Record<string, unknown> = {};
    const wrap = (inside: Fields): Fields => ({ DNSConfig: inside });
    for (const [name, inside] of Object.entries(isObject(value) ? value : {})) {
      if (MAP_RESPONSE.fault(wrap({ [name]: inside }), false) === undefined) kept[name] = inside;
      else if (Array.isArray(inside))
        kept[name] = inside.filter((one, i) => {
          const fault = MAP_RESPONSE.fault(wrap({ [name]: [one] }), false);
          if (fault !== undefined) this.#lose(`.DNSConfig.${name}[${i}]`, fault);
          return fault === undefined;
        });
      else if (name === 'Routes')
        kept[name] = this.#entries('DNSConfig.Routes', inside, (one) => wrap({ Routes: one }));
      else this.#lose(`.DNSConfig.${name}`, ': at fault');
    }
    return kept as DNSConfig;
  }

  #node(value: unknown, path: string): Node | undefined {
    const fault = nodeFault(value);
    if (fault === undefined) return value as Node;
    if (!isObject(value)) return this.#lose(`.${path}`, fault);
    const id = Number(value['ID']);
    const mended: Record<string, unknown> = {
      StableID: '',
      Name: `node-${id}.invalid.`,
      User: 0,
      Hostinfo: {},
    };
    for (const [name, inside] of Object.entries(value)) {
      if (inside === null || inside === undefined) continue;
      const kept = this.#nodeField(name, inside, path);
      if (kept !== undefined) mended[name] = kept;
      else if (NODE_IS_NOTHING_WITHOUT.has(name)) return this.#lose(`.${path}.${name}`, fault);
    }
    // What is missing shows only now: the model has no field to put in the place of these.
    const still = nodeFault(mended);
    return still === undefined ? (mended as unknown as Node) : this.#lose(`.${path}`, still);
  }

  #nodeField(name: string, value: unknown, path: string): unknown {
    if (nodeFieldFault(name, value) === undefined) return value;
    switch (name) {
      case 'Endpoints':
      case 'AllowedIPs':
      case 'PrimaryRoutes':
      case 'Tags': {
        const most = name === 'AllowedIPs' ? MAX_ALLOWED : MAX_ENDPOINTS;
        const all = Array.isArray(value) ? value : [];
        const kept = all.slice(0, most).filter((one) => nodeFieldFault(name, [one]) === undefined);
        this.#lose(`.${path}.${name}`, `: ${all.length - kept.length} of ${all.length}`);
        return kept;
      }
      case 'Hostinfo': {
        const fields = Object.entries(isObject(value) ? value : {});
        const kept = fields.filter(
          ([field, one]) => nodeFieldFault('Hostinfo', { [field]: one }) === undefined,
        );
        this.#lose(`.${path}.Hostinfo`, `: ${fields.length - kept.length} fields`);
        return Object.fromEntries(kept) as Hostinfo;
      }
      default:
        this.#lose(`.${path}.${name}`, ': at fault');
        return undefined;
    }
  }

  #lose(path: string, why: string | undefined): undefined {
    if (this.#lost.length < MAX_LOST) this.#lost.push(`MapResponse${path}${why ?? ''}`);
  }
}

const NODE_IS_NOTHING_WITHOUT: ReadonlySet<string> = new Set([
  'ID',
  'Key',
  'Addresses',
  'KeyExpiry',
  'Expired',
  'MachineAuthorized',
]);

/** A node that is well; one field of it is put to the test by taking this one's place. */
const PLAIN_NODE = {
  ID: 1,
  StableID: '',
  Name: 'n.',
  User: 0,
  Key: `nodekey:${'0'.repeat(64)}`,
  Addresses: [],
  Hostinfo: {},
};

const nodeFault = (value: unknown): string | undefined => fieldFault('Node', value);

const nodeFieldFault = (name: string, value: unknown): string | undefined =>
  nodeFault({ ...PLAIN_NODE, [name]: value });

const fieldFault = (name: string, value: unknown): string | undefined =>
  MAP_RESPONSE.fault({ [name]: value }, false);

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
