/** A Paths under a held clock, with arrays where the rest of the node would be, and a peer that can answer. */

import type { Endpoint } from '../../../src/base/endpoint.ts';
import { formatEndpoint, parseEndpoint } from '../../../src/base/endpoint.ts';
import type { NodePublic } from '../../../src/base/keys.ts';
import { discoPublic, keyText, nodePublic } from '../../../src/base/keys.ts';
import { lineLog } from '../../../src/base/log.ts';
import type { Millis } from '../../../src/base/time.ts';
import { millis, unixMillis } from '../../../src/base/time.ts';
import { boxKey } from '../../../src/crypto/box.ts';
import type { OwnKey } from '../../../src/crypto/x25519.ts';
import { ownKey, peerKey } from '../../../src/crypto/x25519.ts';
import { Paths } from '../../../src/node/paths/paths.ts';
import type {
  GatewayAnswer,
  GatewayRequest,
  OwnEndpoint,
  PathPeer,
  Way,
} from '../../../src/node/paths/ports.ts';
import type { DiscoMessage } from '../../../src/protocol/disco/messages.ts';
import { isDisco, openDisco, sealDisco } from '../../../src/protocol/disco/messages.ts';
import type { DERPMap, NetInfo } from '../../../src/protocol/tailcfg/types.ts';
import { must } from '../../must.ts';
import type { Seeded } from '../../seeded.ts';
import { seeded } from '../../seeded.ts';
import { Clock } from '../../sim/clock.ts';

export const at = (text: string): Endpoint => must(parseEndpoint(text));

export interface Sent {
  readonly to: string;
  readonly datagram: Uint8Array;
}

export interface Asked extends GatewayRequest {
  readonly to: string;
}

export class Stand {
  readonly clock: Clock = new Clock();
  readonly random: Seeded = seeded(11);
  readonly disco: OwnKey = ownKey(this.random.bytes(32));
  readonly nodeKey: NodePublic = nodePublic(this.random.bytes(32));
  readonly udp: Sent[] = [];
  readonly relayed: Sent[] = [];
  readonly gatewayed: Sent[] = [];
  readonly asked: Asked[] = [];
  readonly ways: Map<string, Way> = new Map();
  readonly restarted: string[] = [];
  readonly preferred: number[] = [];
  readonly infos: NetInfo[] = [];
  readonly told: (readonly OwnEndpoint[])[] = [];
  traffic: { sent: Millis; received: Millis } = { sent: millis(0), received: millis(0) };
  local: Endpoint[] = [at('192.168.1.10:41641')];
  gateway: Uint8Array | undefined;
  /** What the gateway says by HTTP; undefined: nothing, until nobody listens any more. */
  page: (asked: Asked) => GatewayAnswer | undefined = () => undefined;
  /** What a relay takes by HTTPS; undefined: it does not answer. */
  https: (region: number) => number | undefined = () => undefined;
  readonly paths: Paths;

  constructor() {
    // An instant of 0 stands for never.
    this.clock.runTo(1000);
    const env = {
      now: () => this.clock.now(),
      wall: () => unixMillis(this.clock.now()),
      random: (length: number) => this.random.bytes(length),
      setTimer: (time: Millis, action: () => void) => this.clock.setTimer(time, action),
      log: lineLog(() => {}, 'error'),
    };
    const into =
      (list: Sent[]) =>
      (to: Endpoint, datagram: Uint8Array): void => {
        list.push({ to: formatEndpoint(to), datagram });
      };
    this.paths = new Paths(
      env,
      {
        sendUdp: into(this.udp),
        sendGateway: into(this.gatewayed),
        askGateway: (to, request, signal) => this.#ask(to, request, signal),
        sendRelay: (region, peer, datagram) => {
          this.relayed.push({ to: `${region} ${keyText(peer)}`, datagram });
          return true;
        },
        setWay: (peer, way) => this.ways.set(keyText(peer), way),
        traffic: () => this.traffic,
        localEndpoints: () => this.local,
        gateway: () => this.gateway,
        measureRelay: async (region) => {
          const latency = this.https(region);
          if (latency === undefined) throw new Error('no answer');
          return millis(latency);
        },
        resolve: async (host) => (host === 'relay.example' ? [at('198.51.100.9:1').address] : []),
        endpointsChanged: (endpoints) => this.told.push(endpoints),
        netInfoChanged: (info) => this.infos.push(info),
        preferRelay: (region) => this.preferred.push(region),
        restarted: (peer) => this.restarted.push(keyText(peer)),
      },
      this.disco,
    );
    this.paths.setIdentity(this.nodeKey);
  }

  async #ask(to: Endpoint, request: GatewayRequest, signal: AbortSignal): Promise<GatewayAnswer> {
    const asked = { to: formatEndpoint(to), ...request };
    this.asked.push(asked);
    const answer = this.page(asked);
    if (answer !== undefined) return answer;
    const { promise, reject } = Promise.withResolvers<never>();
    signal.addEventListener('abort', () => reject(new Error('stopped')));
    return promise;
  }

  /** Lives on for so long; promises settle before and after. */
  async live(duration: number): Promise<void> {
    const until = this.clock.now() + duration;
    while (this.clock.now() < until) {
      await new Promise((resolve) => setImmediate(resolve));
      this.clock.runTo(Math.min(until, this.clock.now() + 500));
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Somebody with a disco key, who writes to the stand and reads what it wrote to him. */
export class Other {
  readonly key: OwnKey;
  readonly nodeKey: NodePublic;
  readonly #stand: Stand;
  readonly #box: Uint8Array;

  constructor(stand: Stand) {
    this.#stand = stand;
    this.key = ownKey(stand.random.bytes(32));
    this.nodeKey = nodePublic(stand.random.bytes(32));
    this.#box = must(boxKey(this.key, peerKey(stand.disco.publicKey)));
  }

  peer(...endpoints: readonly string[]): PathPeer {
    const { nodeKey } = this;
    const discoKey = this.key.publicKey;
    return { nodeKey, discoKey, endpoints: endpoints.map(at), homeRelay: 900 };
  }

  seal(message: DiscoMessage): Uint8Array {
    const nonce = this.#stand.random.bytes(24);
    return sealDisco(discoPublic(this.key.publicKey), this.#box, nonce, message);
  }

  /** What is for him among what was sent, and taken from there. */
  read(list: Sent[]): { readonly to: string; readonly message: DiscoMessage }[] {
    return list.splice(0).flatMap(({ to, datagram }) => {
      const message = isDisco(datagram) ? openDisco(this.#box, datagram) : 'no disco';
      return typeof message === 'string' ? [] : [{ to, message }];
    });
  }

  /** Answers the pings sent by UDP so far. */
  answer(): void {
    for (const { to, message } of this.read(this.#stand.udp))
      if (message.type === 'ping') {
        const { transaction } = message;
        const pong = this.seal({ type: 'pong', transaction, seenFrom: at('203.0.113.1:9') });
        this.#stand.paths.receive(pong, at(to));
      }
  }

  way(): Way | undefined {
    return this.#stand.ways.get(keyText(this.nodeKey));
  }
}

export function relayMap(...nodes: readonly [region: number, ipv4: string][]): DERPMap {
  const Regions: Record<string, DERPMap['Regions'][string]> = {};
  for (const [RegionID, IPv4] of nodes) {
    const literal = at(`${/^\d/.test(IPv4) ? IPv4 : '0.0.0.0'}:1`);
    const host = { HostName: IPv4, ...(literal.address[0] === 0 ? {} : { IPv4 }) };
    const node = { Name: `${RegionID}`, RegionID, ...host };
    const Nodes = [...(Regions[RegionID]?.Nodes ?? []), node];
    Regions[RegionID] = { RegionID, RegionCode: '', RegionName: '', Nodes };
  }
  return { Regions };
}
