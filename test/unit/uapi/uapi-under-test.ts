/** A UAPI server on a fake interface, and a client that talks to it in plain text. */

import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { x25519 } from '@noble/curves/ed25519.js';
import type { Env } from '../../../src/base/env.ts';
import type { NodePrivate, NodePublic } from '../../../src/base/keys.ts';
import { nodePublic } from '../../../src/base/keys.ts';
import type { Log } from '../../../src/base/log.ts';
import { lineLog } from '../../../src/base/log.ts';
import type { Millis, UnixMillis } from '../../../src/base/time.ts';
import { millis, unixMillis } from '../../../src/base/time.ts';
import type { UapiServer } from '../../../src/node/uapi/server.ts';
import { openUapi, UAPI_FOLDER } from '../../../src/node/uapi/server.ts';
import type { InterfaceReport } from '../../../src/protocol/localapi/status.ts';
import type { FakeInterface } from './fake-interface.ts';
import { fakeReport } from './fake-interface.ts';

export const publicKeyOf = (key: NodePrivate): NodePublic =>
  nodePublic(x25519.getPublicKey(key.expose()));
let named = 0;
/** Sockets are seen by the whole machine, whatever the namespace. */
export const freshName = (): string => `pt${process.pid}x${named++}`;

/** A folder with a short name: a socket's path holds 107 bytes. */
export function scratch(t: { teardown(action: () => unknown): void }): string {
  const folder = mkdtempSync(`${tmpdir()}/pt-`);
  t.teardown(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Timers that fire when the test says so. */
export class FakeEnv implements Env {
  readonly timers: Set<() => void> = new Set();
  readonly lines: string[] = [];
  readonly log: Log = lineLog((line) => this.lines.push(line), 'debug');
  now = (): Millis => millis(0);
  wall = (): UnixMillis => unixMillis(0);
  random = (length: number): Uint8Array => new Uint8Array(length);
  setTimer = (_at: number, action: () => void): (() => void) => {
    this.timers.add(action);
    return () => this.timers.delete(action);
  };
}

export async function opened(
  t: { teardown(action: () => unknown): void },
  target: FakeInterface,
  options: { folder?: string; name?: string; env?: FakeEnv } = {},
): Promise<UapiServer & { name: string; env: FakeEnv; released: () => number }> {
  const { folder = UAPI_FOLDER, name = freshName(), env = new FakeEnv() } = options;
  const report = async (): Promise<InterfaceReport> => fakeReport(name);
  let released = 0;
  const releaseMemory = (): void => void released++;
  const server = await openUapi({
    name,
    folder,
    target,
    report,
    publicKeyOf,
    releaseMemory,
    env,
  });
  t.teardown(() => server.close());
  return { ...server, name, env, released: () => released };
}

/** Sends `text` and gives what comes back until the other side ends, or `until` is there. */
export function talk(
  path: string,
  text: string,
  until: RegExp = /errno=-?\d+\n\n$/,
): Promise<string> {
  return new Promise((done, fail) => {
    let got = '';
    const socket = connect(path, () => socket.write(text));
    socket.setEncoding('utf8');
    socket.on('data', (part: string) => {
      got += part;
      if (until.test(got)) socket.end();
    });
    socket.on('error', fail);
    socket.on('close', () => done(got));
  });
}
