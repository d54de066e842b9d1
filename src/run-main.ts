/**
 * The program around its verbs: arguments, environment, the real clock, chance and log, signals, and going to
 * the background. What it is joined to is handed in, so that a test runs it as a real process without a device.
 *
 *     POSTERN_STATE      folder of the state files (/var/lib/postern)
 *     POSTERN_LOG        least level that is logged; debug also shows stacks
 *     POSTERN_LOG_FILE   where a process in the background logs; nowhere without it
 *     LOG_LEVEL          the same as POSTERN_LOG in wireguard-go's words: verbose, error, silent
 *     POSTERN_CALLED_AS  the name a starter script was called by
 */

import { lookup } from 'node:dns/promises';
import { basename, resolve } from 'node:path';
import { isSea } from 'node:sea';
import type { Env } from './base/env.ts';
import { parseIp } from './base/ip.ts';
import type { Millis } from './base/time.ts';
import { buildInfo } from './build-info.ts';
import { askControl } from './cli/ask-control.ts';
import { askNode, watchNode } from './cli/ask-node.ts';
import { askStatus } from './cli/ask-status.ts';
import type { Parent } from './cli/background.ts';
import { startInBackground, waitingParent } from './cli/background.ts';
import { confirmAt } from './cli/confirm.ts';
import type { ControlOptions } from './cli/control.ts';
import type { NodeOptions } from './cli/node.ts';
import { describe, runProgram } from './cli/program.ts';
import type { VersionFacts } from './cli/version.ts';
import type { WireguardOptions } from './cli/wireguard.ts';
import { UAPI_FOLDER } from './node/uapi/server.ts';
import type { Parts } from './parts.ts';
import { environmentLevel, makeLog, realEnv } from './process-env.ts';
import { qrModules } from './qr-modules.ts';
import type { ControlProcess } from './run-control.ts';
import { disk } from './store/safe-file.ts';
import type { runWireguard, StartTunnel } from './wireguard.ts';

const STATE_FOLDER = '/var/lib/postern';

/** What a tunnel needs of the real system. */
export interface Joined {
  readonly start: StartTunnel;
  readonly run: typeof runWireguard;
  /** CLOCK_BOOTTIME. */
  now(): Millis;
}

/** What the coordination server needs of it. */
export interface JoinedControl
  extends Omit<ControlProcess, 'env' | 'onReload' | 'stop' | 'version'>,
    Pick<Joined, 'now'> {}

/** What the node needs of it. */
export interface JoinedNode extends Pick<Joined, 'now'> {
  run(options: RunNodeOptions, process: NodeRun): Promise<void>;
}

/** What the process brings to a node. */
export interface NodeRun {
  readonly env: Env;
  readonly version: string;
  readonly stop: Promise<string>;
}

export interface RunNodeOptions extends Omit<NodeOptions, 'stateFolder' | 'logLevel'> {
  readonly stateFolder: string;
}

/** Runs the verb that the arguments name, then ends the process with its exit code. */
export function runMain(parts: Parts): void {
  // Whoever read it has gone away, as `head` does.
  process.stdout.on('error', () => process.exit(1));
  main(parts).then(endWith, (error: unknown) => {
    process.stderr.write(describe(error, true));
    endWith(1);
  });
}

/**
 * Not by exitCode: a handle that failed to close must not keep a process that has said its end. A pipe takes
 * 64 kB at a time, so a long list is waited for.
 */
function endWith(code: number): void {
  process.stdout.write('', () => process.exit(code));
}

async function main(parts: Parts): Promise<number> {
  const calledAs = process.env['POSTERN_CALLED_AS'] ?? (isSea() ? process.argv0 : 'postern');
  delete process.env['POSTERN_CALLED_AS'];
  const parent = waitingParent();
  const debug = process.env['POSTERN_LOG'] === 'debug';
  const err = (text: string): void => void process.stderr.write(text);
  const terminal = {
    out: (text: string) => void process.stdout.write(text),
    err,
    debug,
    confirm: process.stdin.isTTY
      ? (question: string) => confirmAt(process.stdin, process.stderr, question)
      : undefined,
  };
  const actions = {
    version: versionFacts,
    status: (name: string | undefined) => askStatus(UAPI_FOLDER, name),
    wireguard: async (options: WireguardOptions) =>
      options.foreground
        ? wireguard(options, parts, parent)
        : startInBackground(respawnOf(backgroundArgs(calledAs))),
    control: async (options: ControlOptions) => {
      const { run, join } = await parts.control();
      await run(options, process.env, terminal.out, () => controlProcess(options, join));
    },
    ask: askControl,
    node: (options: NodeOptions) => node(options, parts),
    askNode,
    watchNode,
    qr: qrModules,
  };
  if (parent === undefined) return runProgram(calledAs, process.argv.slice(2), actions, terminal);
  const said: string[] = [];
  const code = await runProgram(calledAs, process.argv.slice(2), actions, {
    ...terminal,
    err: (text) => said.push(text),
  });
  // The parent prints it behind its own `postern: `.
  if (code !== 0)
    await parent.failed(
      said
        .join('')
        .replace(/^postern: /, '')
        .trimEnd(),
    );
  return code;
}

async function wireguard(
  options: WireguardOptions,
  parts: Parts,
  parent: Parent | undefined,
): Promise<void> {
  const stateFolder = resolve(process.env['POSTERN_STATE'] ?? STATE_FOLDER);
  const { start, run, now } = (await parts.wireguard()).join(stateFolder);
  const env = realEnv(now, makeLog(options.logLevel ?? environmentLevel(), parent !== undefined));
  // A process in the background keeps no file system from being unmounted.
  if (parent !== undefined) process.chdir('/');
  await run(options, {
    env,
    start,
    files: disk,
    stateFolder,
    uapiFolder: UAPI_FOLDER,
    lookup: lookupAddress,
    ready: () => parent?.ready(),
    onReload,
    stop: Promise.race([
      stopSignal(),
      ...(parent === undefined ? [] : [parent.abandoned.then(() => 'starter ended')]),
    ]),
  });
}

async function node({ logLevel, ...options }: NodeOptions, parts: Parts): Promise<void> {
  const stateFolder = resolve(options.stateFolder ?? process.env['POSTERN_STATE'] ?? STATE_FOLDER);
  const { run, now } = (await parts.node()).join(stateFolder);
  await run(
    { ...options, stateFolder },
    {
      env: realEnv(now, makeLog(logLevel ?? environmentLevel(), false)),
      version: buildInfo().version,
      stop: stopSignal(),
    },
  );
}

function controlProcess(
  { logLevel, flags }: ControlOptions,
  join: (stateFolder: string) => JoinedControl,
): ControlProcess {
  const state = flags['state']?.[0] ?? process.env['POSTERN_STATE'] ?? STATE_FOLDER;
  const { now, ...joined } = join(resolve(state));
  return {
    ...joined,
    env: realEnv(now, makeLog(logLevel ?? environmentLevel(), false)),
    onReload,
    stop: stopSignal(),
    version: buildInfo().version,
  };
}

function backgroundArgs(calledAs: string): string[] {
  const args = process.argv.slice(2);
  const verb = args[0] === 'wireguard' && basename(calledAs) !== 'postern-wireguard' ? 1 : 0;
  return ['wireguard', '--foreground', ...args.slice(verb)];
}

/** How to start this program again: with its script and Node's flags, or alone where it is one file. */
function respawnOf(args: readonly string[]): Parameters<typeof startInBackground>[0] {
  const before = isSea() ? [] : [...process.execArgv, process.argv[1] as string];
  return {
    program: process.execPath,
    args: [...before, ...args],
    environment: { ...process.env, POSTERN_CALLED_AS: 'postern' },
  };
}

function stopSignal(): Promise<string> {
  return new Promise((done) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => done(signal));
  });
}

/** At a terminal SIGHUP says that the terminal is gone, and ends us. */
function onReload(action: () => void): void {
  if (!process.stdout.isTTY) process.on('SIGHUP', action);
}

async function lookupAddress(host: string): Promise<Uint8Array> {
  const { address } = await lookup(host);
  const bytes = parseIp(address);
  if (bytes === undefined) throw new Error(`the resolver gave '${address}'`);
  return bytes;
}

function versionFacts(): VersionFacts {
  const { version, koffi, commit } = buildInfo();
  return {
    version,
    ...(commit === undefined ? {} : { commit }),
    node: process.versions.node,
    openssl: process.versions.openssl,
    koffi,
    arch: process.arch,
    platform: process.platform,
  };
}
