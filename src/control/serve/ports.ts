/** What this room needs of others, by shape: the streams of control/map, and who waits for a probe's answer. */

import type { MachineKeyText } from '../../protocol/tailcfg/keys.ts';
import type { MapSink, MapStream } from '../map/line.ts';
import type { NodeId } from '../registry/model.ts';

export interface MapStreams {
  /** Takes the place of an older stream of the node, whose sink it ends. */
  open(
    node: NodeId,
    request: { readonly version: number; readonly compress: boolean; readonly keepAlive: boolean },
    sink: MapSink,
  ): MapStream;
}

/** Probes that were sent to nodes as a PingRequest. */
export interface Probes {
  /** @param machine who answers, where it came inside Noise. @returns whether anybody waited for this */
  answered(id: string, machine: MachineKeyText | undefined): boolean;
}
