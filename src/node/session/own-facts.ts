/**
 * What the node says of itself in register and map requests.
 *
 *     board + prefs + what other rooms find out  ──> Hostinfo, Endpoints
 *
 * `NetInfo` goes with every Hostinfo: a server may forget the home relay of a node that leaves it out.
 *
 * Source: reference/protocol.md 3.1.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import { formatEndpoint } from '../../base/endpoint.ts';
import { OWN_CAPABILITY } from '../../protocol/tailcfg/capver.ts';
import { sameJson } from '../../protocol/tailcfg/fold.ts';
import type { DiscoKeyText, NodeKeyText } from '../../protocol/tailcfg/keys.ts';
import type { Hostinfo, MapRequest, NetInfo, Service } from '../../protocol/tailcfg/types.ts';
import type { Prefs } from './prefs.ts';

/** 0 unknown, 1 local, 2 STUN, 3 port mapped, 4 STUN with the local port, 5 configured. */
export type EndpointKind = 0 | 1 | 2 | 3 | 4 | 5;

export interface OwnEndpoint {
  readonly endpoint: Endpoint;
  readonly kind: EndpointKind;
}

const EXIT_ROUTES: readonly string[] = ['0.0.0.0/0', '::/0'];
/** As a server of ours takes it. */
const MAX_ENDPOINTS = 256;

export class OwnFacts {
  readonly #board: Hostinfo;
  readonly #disco: DiscoKeyText;
  #endpoints: readonly OwnEndpoint[] = [];
  #netInfo: NetInfo | undefined;
  #sshHostKeys: readonly string[] = [];
  #services: readonly Service[] = [];

  constructor(board: Hostinfo, disco: DiscoKeyText) {
    this.#board = board;
    this.#disco = disco;
  }

  get endpoints(): readonly OwnEndpoint[] {
    return this.#endpoints;
  }

  get netInfo(): NetInfo | undefined {
    return this.#netInfo;
  }

  /** Whether it is new. */
  setEndpoints(endpoints: readonly OwnEndpoint[]): boolean {
    const texts = (list: readonly OwnEndpoint[]): string =>
      list.map(({ endpoint, kind }) => `${formatEndpoint(endpoint)} ${kind}`).join();
    const isNew = texts(endpoints) !== texts(this.#endpoints);
    this.#endpoints = endpoints.slice(0, MAX_ENDPOINTS);
    return isNew;
  }

  setNetInfo(netInfo: NetInfo): boolean {
    const isNew = !sameJson(netInfo, this.#netInfo);
    this.#netInfo = netInfo;
    return isNew;
  }

  /** Lines of authorized_keys; to have any says that SSH is served here. */
  setSshHostKeys(lines: readonly string[]): boolean {
    const isNew = !sameJson(lines, this.#sshHostKeys);
    this.#sshHostKeys = lines;
    return isNew;
  }

  setServices(services: readonly Service[]): boolean {
    const isNew = !sameJson(services, this.#services);
    this.#services = services;
    return isNew;
  }

  hostinfo(prefs: Prefs): Hostinfo {
    const routes = [...prefs.advertiseRoutes, ...(prefs.advertiseExitNode ? EXIT_ROUTES : [])];
    return {
      ...this.#board,
      ...(prefs.hostname !== '' && { Hostname: prefs.hostname }),
      ...(prefs.shieldsUp && { ShieldsUp: true }),
      ...(routes.length > 0 && { RoutableIPs: routes }),
      ...(prefs.advertiseTags.length > 0 && { RequestTags: prefs.advertiseTags }),
      ...(this.#services.length > 0 && { Services: this.#services }),
      ...(this.#sshHostKeys.length > 0 && { sshHostKeys: this.#sshHostKeys }),
      ...(this.#netInfo !== undefined && { NetInfo: this.#netInfo }),
    };
  }

  update(nodeKey: NodeKeyText, prefs: Prefs): MapRequest {
    return {
      ...this.#request(nodeKey, prefs),
      OmitPeers: true,
      Endpoints: this.#endpoints.map(({ endpoint }) => formatEndpoint(endpoint)),
      EndpointTypes: this.#endpoints.map(({ kind }) => kind),
    };
  }

  stream(nodeKey: NodeKeyText, prefs: Prefs): MapRequest {
    return { ...this.update(nodeKey, prefs), OmitPeers: false, Stream: true };
  }

  #request(nodeKey: NodeKeyText, prefs: Prefs): MapRequest {
    return {
      Version: OWN_CAPABILITY,
      Compress: 'zstd',
      KeepAlive: true,
      NodeKey: nodeKey,
      DiscoKey: this.#disco,
      Hostinfo: this.hostinfo(prefs),
    };
  }
}
