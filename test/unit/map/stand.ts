/** A hub under test, and clients at the ends of its streams. */

import { zstdDecompressSync } from 'node:zlib';
import { MapHub } from '../../../src/control/map/hub.ts';
import type { MapSink, MapStream } from '../../../src/control/map/line.ts';
import type { MeshNode } from '../../../src/control/registry/model.ts';
import type { MapResponse } from '../../../src/protocol/tailcfg/map-types.ts';
import type { DERPMap } from '../../../src/protocol/tailcfg/types.ts';
import { readMapResponse } from '../../../src/protocol/tailcfg/validate.ts';
import { must } from '../../must.ts';
import { ModelClient } from './client.ts';
import { MapNetwork } from './network.ts';

const DERP_MAP: DERPMap = { Regions: {} };

/** A client at the end of a stream: it reads what comes, keeps it, and may be slow. */
export class Reader implements MapSink {
  readonly maps: MapResponse[] = [];
  readonly client: ModelClient = new ModelClient();
  readonly faults: string[] = [];
  full = false;
  ended = false;
  bytes = 0;
  readonly compress: boolean;

  constructor(compress = true) {
    this.compress = compress;
  }

  write(frame: Uint8Array): boolean {
    if (this.ended) this.faults.push('written to after its end');
    const { length } = frame;
    this.bytes += length;
    const view = new DataView(frame.buffer, frame.byteOffset, length);
    if (view.getUint32(0, true) !== length - 4) this.faults.push('a length that is not the body');
    const body = this.compress ? zstdDecompressSync(frame.subarray(4)) : frame.subarray(4);
    const read = readMapResponse(body);
    if ('reason' in read) this.faults.push(`${read.reason} ${read.detail}`);
    const map = JSON.parse(Buffer.from(body).toString()) as MapResponse;
    this.maps.push(map);
    this.client.take(map);
    return !this.full;
  }

  end(): void {
    this.ended = true;
  }

  get last(): MapResponse {
    return must(this.maps.at(-1), 'a map');
  }
}

export interface Stand {
  readonly network: MapNetwork;
  readonly hub: MapHub;
  readonly raised: Map<string, string>;
  open(node: MeshNode, reader?: Reader, version?: number): { reader: Reader; stream: MapStream };
}

export function stand(network: MapNetwork = new MapNetwork()): Stand {
  const raised = new Map<string, string>();
  const { coordinator, env } = network;
  const health = {
    raise: ({ code, text }: { code: string; text: string }) => void raised.set(code, text),
    lower: (code: string) => void raised.delete(code),
  };
  const hub = new MapHub({ coordinator, env, facts: { derpMap: DERP_MAP }, health });
  const open: Stand['open'] = (node, reader = new Reader(), version = 142) => {
    const stream = hub.open(
      node.id,
      { version, compress: reader.compress, keepAlive: true },
      reader,
    );
    network.clock.pass(1);
    return { reader, stream };
  };
  return { network, hub, raised, open };
}
