/**
 * What the load program reports of each scenario; with --json these are its output.
 *
 * `server` is from the start of a scenario to its end: its CPU seconds and bytes written; its memory is that at
 * the end.
 */

import type { Distribution } from './distribution.ts';
import type { Usage } from './process.ts';

export interface Storm {
  readonly nodes: number;
  readonly failed: number;
  /** The first few reasons. */
  readonly failures: readonly string[];
  readonly seconds: number;
  readonly convergedSeconds: number | null;
  /** From the connection of a node to its first map. */
  readonly perNodeMs: Distribution;
  /** Ended by the server; the nodes came back, as a stock client does. */
  readonly streamsEnded: number;
  readonly frames: number;
  readonly frameMegabytes: number;
  /** What a stock client would choke on, by witnesses. */
  readonly faults: readonly string[];
  readonly server: Usage | undefined;
}

export interface Change {
  readonly repeats: number;
  readonly viewers: number;
  /** Viewers that a change did not reach in time, of all repeats. */
  readonly missed: number;
  /** From the request of the update to the frame at a viewer. */
  readonly milliseconds: Distribution;
  /** Of each repeat its last viewer. */
  readonly lastMs: Distribution;
  readonly server: Usage | undefined;
}

export interface Idle {
  readonly seconds: number;
  readonly frames: number;
  readonly streamsEnded: number;
  readonly server: Usage | undefined;
}

export interface LoadReport {
  readonly join?: Storm;
  readonly reconnect?: Storm;
  readonly change?: Change;
  readonly idle?: Idle;
  /** What the load program itself took. */
  readonly own: { readonly cpuSeconds: number; readonly rssMb: number };
}
