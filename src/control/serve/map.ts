/**
 * `POST /machine/map`: what a node says of itself, and the stream of what it should know.
 *
 *     OmitPeers, no Stream    an update: said at once to peers; name and routes are changes, answered when they
 *                             are on the disk, by a bare 200
 *     Stream                  control/map writes, as long as both sides like; what it says of the node may be
 *                             stale, and does not count
 *     neither                 501: one map alone is asked for by no client that we serve
 *
 * The node key in the body is a claim; what counts is that it belongs to the machine that Noise has proved. The
 * head of a stream's answer leaves with its first frame: a stream that cannot be had is an error, never an empty 200,
 * which clients would ask for again at once.
 *
 * Source: reference/protocol.md 3.1, 3.2.
 */

import { NetError } from '../../base/errors.ts';
import { isServed, tooOld } from '../../protocol/tailcfg/capver.ts';
import { isNoKey } from '../../protocol/tailcfg/keys.ts';
import type { Hostinfo, MapRequest } from '../../protocol/tailcfg/types.ts';
import { readMapRequest } from '../../protocol/tailcfg/validate.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import type { MapSink, MapStream } from '../map/line.ts';
import type { Outcome } from '../registry/change.ts';
import { canonicalRoutes } from '../registry/effective-routes.ts';
import type { Said } from '../registry/live.ts';
import type { MeshNode } from '../registry/model.ts';
import { noteHostname } from '../registry/nodes.ts';
import { announceRoutes } from '../registry/routes.ts';
import type { Exchange } from './exchange.ts';
import { actor, nodeOf } from './members.ts';
import type { MapStreams } from './ports.ts';
import type { Tally } from './tally.ts';

export interface MapHost {
  readonly coordinator: Coordinator;
  readonly maps: MapStreams;
  readonly tally: Tally;
}

export async function handleMap(host: MapHost, exchange: Exchange): Promise<void> {
  const body = await exchange.body();
  if (body === undefined) return;
  const { session } = exchange;
  const read = readMapRequest(body);
  if ('reason' in read) {
    exchange.refuse(read.reason, 400, { detail: read.detail });
    return;
  }
  const request = read.value;
  const version = Math.min(session.version, request.Version);
  if (!isServed(version)) {
    exchange.refuse('request: client too old', 400, { text: tooOld(version) });
    return;
  }
  const node = nodeOf(host.coordinator.network, session.machine, request.NodeKey);
  if (node === undefined) {
    exchange.refuse('request: not a member', 401, {
      text: 'this node key is not registered to this machine',
    });
    return;
  }
  if (request.Stream === true) openStream(host, exchange, node, request);
  else if (request.OmitPeers === true) await update(host, exchange, node, request);
  else exchange.refuse('request: not served', 501);
}

function openStream(
  { maps, tally }: MapHost,
  exchange: Exchange,
  node: MeshNode,
  request: MapRequest,
): void {
  const { session, stream } = exchange;
  if (exchange.isOver) return;
  const sink = sinkOf(exchange);
  let opened: MapStream | undefined;
  stream.on('drain', () => opened?.drained());
  stream.on('close', () => opened?.close(session.wasSilent ? 'silent' : 'closed'));
  opened = maps.open(
    node.id,
    {
      version: request.Version,
      compress: request.Compress === 'zstd',
      keepAlive: request.KeepAlive === true,
    },
    sink,
  );
  session.longPoll(stream, () => sink.end());
  tally.count('map: stream');
}

function sinkOf(exchange: Exchange): MapSink {
  const { stream } = exchange;
  return {
    write(frame) {
      if (exchange.isOver || stream.writableEnded) return false;
      if (!stream.headersSent)
        stream.respond({ ':status': 200, 'content-type': 'application/octet-stream' });
      return stream.write(frame);
    },
    end() {
      if (exchange.isOver) return;
      if (stream.headersSent) stream.end();
      else exchange.json(503, { Error: 'there is no map at this moment' });
    },
  };
}

async function update(
  { coordinator, tally }: MapHost,
  exchange: Exchange,
  node: MeshNode,
  request: MapRequest,
): Promise<void> {
  coordinator.said(node.id, saidIn(request));
  tally.count('map: update');
  const changes = changesOf(coordinator, exchange, node, request.Hostinfo);
  try {
    for (const outcome of await Promise.all(changes)) {
      if (outcome.ok) continue;
      exchange.refuse('request: not a member', 401, { text: outcome.reason });
      return;
    }
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    exchange.refuse('request: store failed', 503, { text: error.message });
    return;
  }
  exchange.empty(200);
}

/** What is absent stays as it was, but for routes: a host info without any offers none. */
function saidIn(request: MapRequest): Said {
  const { DiscoKey, Endpoints, EndpointTypes, Hostinfo, Version } = request;
  return {
    capVersion: Version,
    ...(Hostinfo !== undefined && { hostinfo: Hostinfo }),
    ...(DiscoKey !== undefined && !isNoKey(DiscoKey) && { discoKey: DiscoKey }),
    ...(Endpoints !== undefined && {
      endpoints: Endpoints,
      endpointTypes: EndpointTypes ?? Endpoints.map(() => 0),
    }),
  };
}

/** Asked for only where something differs: an update comes every few minutes, and most say nothing new. */
function changesOf(
  coordinator: Coordinator,
  exchange: Exchange,
  { id, name, hostname, announced }: MeshNode,
  hostinfo: Hostinfo | undefined,
): readonly Promise<Outcome<MeshNode>>[] {
  if (hostinfo === undefined) return [];
  const by = actor(exchange.session, name);
  const changes: Promise<Outcome<MeshNode>>[] = [];
  const said = hostinfo.Hostname?.slice(0, 256) ?? '';
  if (said !== '' && said !== hostname)
    changes.push(
      coordinator.change(by, (model, context) =>
        noteHostname(model, { node: id, hostname: said }, context),
      ),
    );
  const prefixes = canonicalRoutes(hostinfo.RoutableIPs ?? []);
  if (prefixes.join(' ') !== announced.join(' '))
    changes.push(
      coordinator.change(by, (model, context) =>
        announceRoutes(model, { node: id, prefixes }, context),
      ),
    );
  return changes;
}
