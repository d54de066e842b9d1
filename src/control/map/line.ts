/**
 * One open stream: what its client was told last, and how far in the changes that was.
 *
 *     first map due ──> ready <──> full       full   the sink has no room: nothing waits but the place
 *                         └─────────┴──> ended
 *
 * What the stream owes its client is never queued: it is the difference of `sent` and the view of the moment.
 */

import type { UnixMillis } from '../../base/time.ts';
import type { MapResponse } from '../../protocol/tailcfg/map-types.ts';
import type { View, Viewer } from './view.ts';
import { formerNode } from './wire-node.ts';

/** One answer of `POST /machine/map`. */
export interface MapSink {
  /** False: that was taken, and now it is full; `MapStream.drained` is called when there is room again. */
  write(frame: Uint8Array): boolean;
  end(): void;
}

export interface MapStream {
  drained(): void;
  /** The sink has closed. `silent`: the client was not heard for too long. */
  close(how: 'closed' | 'silent'): void;
}

export interface StreamRequest {
  /** Capability version. */
  readonly version: number;
  /** zstd; else plain JSON. */
  readonly compress: boolean;
  readonly keepAlive: boolean;
}

export class Line {
  readonly viewer: Viewer;
  readonly compress: boolean;
  readonly sink: MapSink;
  /** Of the coordinator; 0 until it is known. */
  session = 0;
  state: 'ready' | 'full' | 'ended' = 'ready';
  sent: View | undefined;
  /** Up to here changes are in `sent`. */
  place = -1;
  /** The last thing to say, as soon as it can be said; then the sink ends. */
  farewell: MapResponse | undefined;
  cancelKeepAlive: () => void = () => {};

  constructor(viewer: Viewer, compress: boolean, sink: MapSink) {
    this.viewer = viewer;
    this.compress = compress;
    this.sink = sink;
  }

  /** It has had its first map, and has room for more. */
  get isListening(): boolean {
    return this.state === 'ready' && this.sent !== undefined;
  }

  /** What the client of a node that was removed must hear; undefined where it knows of no node yet. */
  farewellAt(now: UnixMillis): MapResponse | undefined {
    return this.sent === undefined ? undefined : { Node: formerNode(this.sent.self, now) };
  }

  end(): void {
    if (this.state === 'ended') return;
    this.state = 'ended';
    this.sent = undefined;
    this.cancelKeepAlive();
    this.sink.end();
  }
}
