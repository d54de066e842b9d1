/**
 * Many simulated nodes in one process, and what can be asked of them.
 *
 *     join        each: key, connect, register, first map, lite update; some at once
 *     reconnect   all cut in one moment, each: connect, first map, lite update; some at once
 *     change      one node says that it is elsewhere; when does each other node's stream bring that?
 *     idle        nothing is said
 *
 * A storm has two ends: `seconds`, when the last node has its first map, and `convergedSeconds`, when every
 * witness sees all others online. Witnesses are a few nodes, spread over the order of joining, whose streams
 * are unpacked, checked and folded as they come; of the others frames are only counted in a storm, so that
 * this program leaves the machine to the server. For a change every viewer's frames are read, afterwards.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { SimulatedNode, unpack } from './client.ts';
import { distribution } from './distribution.ts';
import { Netmap } from './netmap.ts';
import type { Usage } from './process.ts';
import { usage } from './process.ts';
import type { Change, Idle, Storm } from './reports.ts';

export interface CrowdOptions {
  readonly url: URL;
  readonly authKey: string;
  readonly nodes: number;
  /** How many join at once. */
  readonly atOnce: number;
  readonly witnesses: number;
  /** Whose time and memory are read. */
  readonly serverPid: number | undefined;
  readonly say: (line: string) => void;
}

const CONVERGE_SECONDS = 120;
/** Witnesses that hear nothing for so long will not converge. */
const QUIET_SECONDS = 20;
/** A stock client waits about as long before it comes back. */
const RETURN_MS = 1000;
const CHANGE_MS = 15_000;
/** Between repeats, so that a server's gathering of changes begins anew. */
const PAUSE_MS = 300;
const POLL_MS = 50;
/** What a storm leaves to be done later belongs to the storm. */
const SETTLE_MS = 10_000;
const SHOWN_FAILURES = 5;

export class Crowd {
  readonly nodes: readonly SimulatedNode[];
  readonly #options: CrowdOptions;
  readonly #witnesses = new Map<SimulatedNode, Netmap>();
  #region = 0;
  #isClosed = false;

  constructor(options: CrowdOptions) {
    this.#options = options;
    const { nodes, witnesses, url } = options;
    this.nodes = Array.from({ length: nodes }, (_, i) => new SimulatedNode(url, i));
    const step = Math.max(1, (nodes - 1) / Math.max(1, witnesses - 1));
    for (let i = 0; i < nodes && this.#witnesses.size < witnesses; i += step) {
      const node = this.nodes[Math.round(i)];
      if (node !== undefined) this.#witnesses.set(node, new Netmap());
    }
  }

  join(): Promise<Storm> {
    return this.#storm(async (node) => {
      await node.connect();
      await node.register(this.#options.authKey);
      await node.openStream();
    });
  }

  reconnect(): Promise<Storm> {
    for (const node of this.nodes) node.close();
    return this.#storm(async (node) => {
      await node.connect();
      await node.openStream();
    });
  }

  async change(repeats: number): Promise<Change> {
    const before = this.#usage();
    const all: number[] = [];
    const last: number[] = [];
    let missed = 0;
    const connected = this.nodes.filter((node) => node.isConnected);
    for (let round = 0; round < repeats; round++) {
      await sleep(PAUSE_MS);
      const mover = connected[(round * 7919) % connected.length];
      if (mover === undefined) throw new Error('change: nobody is connected');
      const viewers = connected.filter((node) => node !== mover);
      const latencies = await this.#seen(
        mover,
        viewers,
        `192.0.2.${round % 250}:${20_000 + round}`,
      );
      missed += viewers.length - latencies.length;
      all.push(...latencies);
      last.push(Math.max(...latencies));
    }
    const viewers = connected.length - 1;
    const [milliseconds, lastMs] = [distribution(all), distribution(last)];
    return { repeats, viewers, missed, milliseconds, lastMs, server: this.#since(before) };
  }

  async idle(seconds: number): Promise<Idle> {
    await sleep(SETTLE_MS);
    const before = this.#usage();
    const frames = this.#sum(({ frames }) => frames);
    const endings = this.#sum(({ endings }) => endings);
    await sleep(seconds * 1000);
    return {
      seconds,
      frames: this.#sum((node) => node.frames) - frames,
      streamsEnded: this.#sum((node) => node.endings) - endings,
      server: this.#since(before),
    };
  }

  close(): void {
    this.#isClosed = true;
    for (const node of this.nodes) node.close();
  }

  async #storm(enter: (node: SimulatedNode) => Promise<void>): Promise<Storm> {
    for (const node of this.#witnesses.keys()) this.#watch(node);
    const before = this.#usage();
    const endings = this.#sum((node) => node.endings);
    const [frames, bytes] = [this.#sum((n) => n.frames), this.#sum((n) => n.frameBytes)];
    const began = performance.now();
    const times: number[] = [];
    const failures: string[] = [];
    const enterOne = async (node: SimulatedNode): Promise<void> => {
      const start = performance.now();
      try {
        await enter(node);
        times.push(performance.now() - start);
        await this.#tellWhere(node);
        node.onEnded = () => this.#comeBack(node);
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
        node.close();
      }
    };
    // The first one alone: it learns which relay there is.
    const [first, ...others] = this.nodes;
    if (first !== undefined) await enterOne(first);
    await eachOf(others, this.#options.atOnce, enterOne);
    const seconds = (performance.now() - began) / 1000;
    this.#options.say(`${times.length} of ${this.nodes.length} in ${seconds.toFixed(1)} s`);
    const converged = await this.#converged(times.length);
    return {
      nodes: times.length,
      failed: failures.length,
      failures: [...new Set(failures)].slice(0, SHOWN_FAILURES),
      seconds,
      convergedSeconds: converged ? (performance.now() - began) / 1000 : null,
      perNodeMs: distribution(times),
      streamsEnded: this.#sum((node) => node.endings) - endings,
      frames: this.#sum((n) => n.frames) - frames,
      frameMegabytes: (this.#sum((n) => n.frameBytes) - bytes) / 1e6,
      faults: [...new Set([...this.#witnesses.values()].flatMap(({ faults }) => faults))],
      server: this.#since(before),
    };
  }

  #comeBack(node: SimulatedNode): void {
    setTimeout(() => {
      if (this.#isClosed) return;
      const back = async (): Promise<void> => {
        await node.connect();
        if (this.#witnesses.has(node)) this.#watch(node);
        await node.openStream();
        await this.#tellWhere(node);
      };
      back().catch((error: unknown) => {
        this.#options.say(`${node.hostname} does not come back: ${error}`);
      });
    }, RETURN_MS);
  }

  #watch(node: SimulatedNode): void {
    const netmap = new Netmap();
    this.#witnesses.set(node, netmap);
    node.onFrame = (frame) => netmap.fold(unpack(frame));
  }

  async #tellWhere(node: SimulatedNode): Promise<void> {
    const netmap = this.#witnesses.get(node);
    this.#region ||= netmap?.firstRegion ?? 0;
    const status = await node.update({ region: this.#region });
    if (status !== 200) throw new Error(`/machine/map (lite): ${status}`);
  }

  async #converged(nodes: number): Promise<boolean> {
    const witnesses = [...this.#witnesses.keys()];
    const deadline = performance.now() + CONVERGE_SECONDS * 1000;
    let heard = { frames: -1, at: 0 };
    for (;;) {
      const seen = witnesses.map((node) => this.#witnesses.get(node)?.onlinePeers ?? 0);
      if (seen.every((online) => online >= nodes - 1)) return true;
      const frames = witnesses.reduce((sum, node) => sum + node.frames, 0);
      const now = performance.now();
      if (frames !== heard.frames) heard = { frames, at: now };
      if (now > Math.min(deadline, heard.at + QUIET_SECONDS * 1000)) {
        this.#options.say(`not converged: witnesses see ${seen.join(', ')} online`);
        return false;
      }
      await sleep(POLL_MS);
    }
  }

  /** For each viewer that is reached, the time that it took. */
  async #seen(
    mover: SimulatedNode,
    viewers: readonly SimulatedNode[],
    endpoint: string,
  ): Promise<readonly number[]> {
    const arrived = new Map<SimulatedNode, { readonly frame: Uint8Array; readonly at: number }[]>();
    for (const node of viewers)
      node.onFrame = (frame, at) => {
        const list = arrived.get(node);
        if (list === undefined) arrived.set(node, [{ frame, at }]);
        else list.push({ frame, at });
      };
    const mark = JSON.stringify(endpoint);
    const latencies = new Map<SimulatedNode, number>();
    const sent = performance.now();
    const status = await mover.update({ endpoints: [endpoint] });
    if (status !== 200) throw new Error(`change: the update was answered by ${status}`);
    while (latencies.size < viewers.length && performance.now() < sent + CHANGE_MS) {
      await sleep(POLL_MS);
      // Not read before nearly all are there: unpacking would hold back the frames that still come.
      const isLate = performance.now() > sent + CHANGE_MS / 2;
      if (arrived.size < viewers.length && !isLate) continue;
      for (const [node, list] of arrived) {
        for (const { frame, at } of list.splice(0))
          if (!latencies.has(node) && Buffer.from(unpack(frame)).includes(mark))
            latencies.set(node, at - sent);
      }
    }
    for (const node of viewers) node.onFrame = undefined;
    return [...latencies.values()];
  }

  #sum(of: (node: SimulatedNode) => number): number {
    return this.nodes.reduce((sum, node) => sum + of(node), 0);
  }

  #usage(): Usage | undefined {
    const { serverPid } = this.#options;
    return serverPid === undefined ? undefined : usage(serverPid);
  }

  #since(before: Usage | undefined): Usage | undefined {
    const now = this.#usage();
    if (now === undefined || before === undefined) return undefined;
    return {
      ...now,
      cpuSeconds: now.cpuSeconds - before.cpuSeconds,
      writtenBytes: now.writtenBytes - before.writtenBytes,
    };
  }
}

/** `action` for each of `values`, `most` at once. */
async function eachOf<T>(
  values: readonly T[],
  most: number,
  action: (value: T) => Promise<void>,
): Promise<void> {
  const left = values.values();
  const worker = async (): Promise<void> => {
    for (const value of left) await action(value);
  };
  await Promise.all(Array.from({ length: most }, worker));
}
