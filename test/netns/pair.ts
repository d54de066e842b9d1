/**
 * Two hosts with a WireGuard implementation each, and traffic between them.
 *
 *     a  10.77.0.1  fd77::1   outer, port 51001  ======  outer, port 51002   10.77.0.2  fd77::2  b
 *        10.78.0.1  fd78::1                inner                             10.78.0.2  fd78::2
 *
 * `b` knows no endpoint of `a` where `a` is to be the initiator, and the other way about: the roles of the
 * handshake are then no accident.
 */

import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Result } from './child.ts';
import type { ImplementationName, ImplementationOptions, Tunnel } from './implementations.ts';
import { start } from './implementations.ts';
import type { Cable, Host, Lab } from './lab.ts';

export interface Keys {
  /** Base64, as `wg` takes them. */
  readonly privateKey: string;
  readonly publicKey: string;
}

export interface Side {
  readonly host: Host;
  readonly keys: Keys;
  readonly port: number;
  /** Of the cable, IPv4 and IPv6. */
  readonly outer: readonly [string, string];
  readonly inner: readonly [string, string];
  /** Replaced at a restart. */
  tunnel: Tunnel;
  readonly implementation: ImplementationName;
  readonly options: ImplementationOptions;
  readonly mtuBytes: number;
}

export interface Pair {
  readonly lab: Lab;
  readonly cable: Cable;
  readonly a: Side;
  readonly b: Side;
}

export interface PairOptions {
  /** Who knows where the other is. Default both. */
  readonly initiator?: 'a' | 'b' | 'both';
  /** Of the outer addresses. Default 4. */
  readonly outerFamily?: 4 | 6;
  readonly mtuBytes?: number;
  readonly outerMtuBytes?: number;
  readonly a?: ImplementationOptions;
  readonly b?: ImplementationOptions;
  /** Default true: the peers know each other. */
  readonly acquainted?: boolean;
}

const DEFAULT_MTU_BYTES = 1420;
const TRAFFIC: string = join(import.meta.dirname, 'traffic.ts');
/** The pinned Node. */
export const NODE: string = join(import.meta.dirname, '../../node_modules/.bin/node');

/** A clamped one, as `wg genkey` makes it, so that it is shown as it was set. */
export function newKeys(): Keys {
  const bytes = randomBytes(32);
  bytes[0] = (bytes[0] ?? 0) & 248;
  bytes[31] = ((bytes[31] ?? 0) & 127) | 64;
  return keysOf(bytes);
}

/** The pair of a private key of 32 bytes. */
export function keysOf(bytes: Uint8Array): Keys {
  // PKCS #8 around the bytes (RFC 8410), which is how node:crypto takes them.
  const der = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), bytes]);
  const publicKey = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  return {
    privateKey: Buffer.from(bytes).toString('base64'),
    publicKey: publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64'),
  };
}

export async function makePair(
  lab: Lab,
  names: readonly [ImplementationName, ImplementationName],
  options: PairOptions = {},
): Promise<Pair> {
  const mtuBytes = options.mtuBytes ?? DEFAULT_MTU_BYTES;
  const hosts = [await lab.host('a'), await lab.host('b')] as const;
  const cable = await lab.link(...hosts, {
    a: ['10.77.0.1/24', 'fd77::1/64'],
    b: ['10.77.0.2/24', 'fd77::2/64'],
    mtuBytes: options.outerMtuBytes ?? 1500,
  });
  const [a, b] = await Promise.all([
    makeSide(lab, hosts[0], 1, names[0], { ...options.a, mtuBytes }),
    makeSide(lab, hosts[1], 2, names[1], { ...options.b, mtuBytes }),
  ]);
  const initiator = options.initiator ?? 'both';
  const endpoint = (who: 'a' | 'b', of: Side): string | undefined =>
    initiator === 'both' || initiator === who ? endpointOf(of, options.outerFamily) : undefined;
  if (options.acquainted ?? true) {
    await introduce(a, b, endpoint('a', b));
    await introduce(b, a, endpoint('b', a));
  }
  return { lab, cable, a, b };
}

/** A third side `c`, on a cable of its own to `hub`; acquainted with it, and the initiator. */
export async function addSide(lab: Lab, hub: Side, name: ImplementationName): Promise<Side> {
  const host = await lab.host('c');
  await lab.link(host, hub.host, { a: ['10.77.1.3/24'], b: ['10.77.1.2/24'] });
  const side = await makeSide(lab, host, 3, name);
  await introduce(hub, side);
  await introduce(side, hub, `10.77.1.2:${hub.port}`);
  return side;
}

/**
 * An implementation that runs in `host`, with keys, port and inner addresses, and no peers yet.
 *
 * @param number 1 for `a`, 2 for `b` and so on: the last part of its addresses and port
 */
export async function makeSide(
  lab: Lab,
  host: Host,
  number: number,
  implementation: ImplementationName,
  { mtuBytes = DEFAULT_MTU_BYTES, ...options }: ImplementationOptions & { mtuBytes?: number } = {},
): Promise<Side> {
  const side: Side = {
    host,
    keys: newKeys(),
    port: 51_000 + number,
    outer: [`10.77.0.${number}`, `fd77::${number}`],
    inner: [`10.78.0.${number}`, `fd78::${number}`],
    tunnel: await start(implementation, host, options),
    implementation,
    options,
    mtuBytes,
  };
  lab.onReport(() => reportOf(side));
  await bringUp(side);
  return side;
}

export function endpointOf(side: Side, family: 4 | 6 = 4): string {
  return family === 4 ? `${side.outer[0]}:${side.port}` : `[${side.outer[1]}]:${side.port}`;
}

/** Private key, port, addresses, up. */
export async function bringUp(side: Side): Promise<void> {
  const { host, tunnel, keys, port, inner, mtuBytes } = side;
  await host.run(
    ['wg', 'set', tunnel.interface, 'listen-port', `${port}`, 'private-key', '/dev/stdin'],
    { input: keys.privateKey },
  );
  await host.ip(
    `addr add ${inner[0]}/24 dev ${tunnel.interface}`,
    `addr add ${inner[1]}/64 dev ${tunnel.interface} nodad`,
    `link set ${tunnel.interface} mtu ${mtuBytes} up`,
  );
}

/** Makes `other` a peer of `side`, allowed its inner addresses. */
export async function introduce(side: Side, other: Side, endpoint?: string): Promise<void> {
  await side.tunnel.set(
    ...['peer', other.keys.publicKey],
    ...['allowed-ips', `${other.inner[0]}/32,${other.inner[1]}/128`],
    ...(endpoint === undefined ? [] : ['endpoint', endpoint]),
  );
}

/** Starts the side's implementation anew, on the same interface name, and brings it up; no peers yet. */
export async function restart(side: Side): Promise<void> {
  side.tunnel = await start(side.implementation, side.host, {
    ...side.options,
    interface: side.tunnel.interface,
  });
  await bringUp(side);
}

export interface PingOptions {
  readonly count?: number;
  /** Default 50. */
  readonly intervalMs?: number;
  /** Of the whole IP packet; it may then not be fragmented. */
  readonly packetBytes?: number;
  /** Source address. */
  readonly from?: string;
  /** How long the last answer is waited for; default 1000. */
  readonly patienceMs?: number;
}

export interface Pings {
  readonly sent: number;
  readonly received: number;
  readonly output: string;
}

/** With so many, a line each tells nothing more. */
const QUIET_FROM = 20;
const ICMP_HEADER_BYTES = 8;

/** Pings `address` from the side's host. Lost ones are no error. */
export async function ping(side: Side, address: string, options: PingOptions = {}): Promise<Pings> {
  const { count = 3, intervalMs = 50, packetBytes, from, patienceMs = 1000 } = options;
  const ipHeaderBytes = address.includes(':') ? 40 : 20;
  const argv = [
    ...['ping', '-n', '-c', `${count}`, '-i', `${intervalMs / 1000}`, '-W', `${patienceMs / 1000}`],
    ...(packetBytes === undefined
      ? []
      : ['-M', 'do', '-s', `${packetBytes - ipHeaderBytes - ICMP_HEADER_BYTES}`]),
    ...(from === undefined ? [] : ['-I', from]),
    ...(count > QUIET_FROM ? ['-q'] : []),
    address,
  ];
  // On a busy machine its intervals grow.
  const timeoutMs = 1.5 * count * intervalMs + patienceMs + 10_000;
  return readPings(await side.host.run(argv, { check: false, timeoutMs }));
}

function readPings({ stdout, stderr }: Result): Pings {
  const found = /(\d+) packets transmitted, (\d+) received/.exec(stdout);
  const output = (stdout + stderr).trim();
  return { sent: Number(found?.[1] ?? 0), received: Number(found?.[2] ?? 0), output };
}

/** Whether one ping comes back within `patienceMs`. */
export async function answers(side: Side, address: string, patienceMs = 300): Promise<boolean> {
  return (await ping(side, address, { count: 1, patienceMs })).received === 1;
}

export interface Transfer {
  readonly bytes: number;
  readonly sentSha256: string;
  readonly receivedSha256: string;
  readonly seconds: number;
}

/** Sends `bytes` over one TCP connection to `address` of `to`, and hashes them at both ends. */
export async function transfer(
  from: Side,
  to: Side,
  address: string,
  bytes: number,
  timeoutMs = 18_000,
): Promise<Transfer> {
  const server = to.host.start([NODE, TRAFFIC, 'receive', address], { name: 'receive' });
  const [, port = ''] = await server.says(/^port (\d+)$/m);
  const began = performance.now();
  const { stdout } = await from.host.run([NODE, TRAFFIC, 'send', address, port, `${bytes}`], {
    timeoutMs,
  });
  const [, received = '', receivedSha256 = ''] = await server.says(/^received (\d+) (\w+)$/m);
  return {
    bytes: Number(received),
    sentSha256: /^sent (\w+)$/m.exec(stdout)?.[1] ?? '',
    receivedSha256,
    seconds: (performance.now() - began) / 1000,
  };
}

/** A thousand peers are not looked through by anybody. */
const REPORT_CHARACTERS = 4000;

async function reportOf(side: Side): Promise<string> {
  const { host, tunnel } = side;
  const show = await host.run(['wg', 'show', tunnel.interface], { check: false });
  const addresses = await host.run(['ip', '-br', 'addr'], { check: false });
  const said = `${show.stdout}${show.stderr}`.slice(0, REPORT_CHARACTERS);
  return `--- ${host.name}: ${side.implementation}\n${said}${addresses.stdout}`;
}
