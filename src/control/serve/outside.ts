/**
 * What is asked before any handshake, by anybody: one request a connection, then it is closed.
 *
 *     GET  /key                      the server's machine key, for whoever is about to shake hands
 *     POST /ts2021                   the handshake itself: upgrade.ts; here only what is not one
 *     POST /verify                   a relay of somebody's asks whether to admit a client: {NodePublic} -> {Allow}
 *     GET  /register/<32 hex>        login-page.ts
 *     GET  /generate_204             is there a captive portal? the challenge comes back
 *     GET  /bootstrap-dns            {}: we know no names
 *     GET  /health                   ok, or 503
 *     HEAD /machine/ping-response    a probe of ours has come back: ?id=
 *     405 with Allow, 404
 *
 * HEAD is answered as GET is. Source: reference/protocol.md 1.1, 1.6, 4.1, 4.2.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { collect } from '../../base/bytes.ts';
import type { HealthItem } from '../../base/health.ts';
import type { MachinePublic } from '../../base/keys.ts';
import { machinePublic } from '../../base/keys.ts';
import type { NodeKeyText } from '../../protocol/tailcfg/keys.ts';
import { formatMachinePublic, isKeyText } from '../../protocol/tailcfg/keys.ts';
import type { Shape } from '../../protocol/tailcfg/shape.ts';
import { leaf, object } from '../../protocol/tailcfg/shape.ts';
import type { ControlKeys } from '../../protocol/tailcfg/types.ts';
import { read } from '../../protocol/tailcfg/validate.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import { isExpired } from '../registry/model.ts';
import { loginPage, PAGE_HEADERS } from './login-page.ts';
import type { Probes } from './ports.ts';
import type { Remote } from './remote.ts';
import type { Refusal, Tally } from './tally.ts';

export interface OutsideHost {
  readonly coordinator: Pick<Coordinator, 'network'>;
  readonly tally: Tally;
  readonly publicKey: MachinePublic;
  readonly probes: Probes | undefined;
  health(): readonly HealthItem[];
}

const MAX_BODY_BYTES = 4096;
const NO_MACHINE_KEY = formatMachinePublic(machinePublic(new Uint8Array(32)));
/** Anything but a plain word could be used against a browser. */
const CHALLENGE = /^[A-Za-z0-9._-]{1,64}$/;
const LOGIN = /^\/register\/([0-9a-f]{32})$/;

interface VerifyRequest {
  readonly NodePublic: NodeKeyText;
}

const VERIFY_REQUEST: Shape<VerifyRequest> = object<VerifyRequest>({
  NodePublic: leaf<NodeKeyText>(
    'a nodekey:',
    (value) => typeof value === 'string' && isKeyText(value, 'nodekey:'),
  ),
});

/** One request outside, and its answer. */
interface Visit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly remote: Remote;
}

type Visitor = (host: OutsideHost, visit: Visit) => Promise<void> | void;

const ROUTES: ReadonlyMap<string, Readonly<Record<string, Visitor>>> = new Map([
  ['/key', { GET: key }],
  ['/ts2021', { POST: noHandshake, GET: noHandshake }],
  ['/verify', { POST: verify }],
  ['/generate_204', { GET: noContent }],
  ['/bootstrap-dns', { GET: (_host: OutsideHost, visit: Visit) => json(visit, 200, {}) }],
  ['/health', { GET: health }],
  ['/machine/ping-response', { GET: probe }],
]);
const LOGIN_ROUTE: Readonly<Record<string, Visitor>> = { GET: login };

export async function handleOutside(
  host: OutsideHost,
  request: IncomingMessage,
  response: ServerResponse,
  remote: Remote,
): Promise<void> {
  // One request a connection, so that nobody has to be waited for.
  response.setHeader('Connection', 'close');
  const target = request.url ?? '';
  const visit = { request, response, remote };
  if (!target.startsWith('/') || !URL.canParse(target, 'http://host')) {
    refuse(host, { ...visit, url: new URL('http://host') }, 'front: bad request', 400);
    return;
  }
  const url = new URL(`http://host${target}`);
  const methods = ROUTES.get(url.pathname) ?? (LOGIN.test(url.pathname) ? LOGIN_ROUTE : undefined);
  if (methods === undefined) return refuse(host, { ...visit, url }, 'front: unknown path', 404);
  const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '');
  const visitor = Object.hasOwn(methods, method) ? methods[method] : undefined;
  if (visitor !== undefined) return visitor(host, { ...visit, url });
  const allow = Object.keys(methods).flatMap((one) => (one === 'GET' ? ['GET', 'HEAD'] : [one]));
  response.setHeader('Allow', allow.join(', '));
  return refuse(host, { ...visit, url }, 'front: wrong method', 405);
}

function key({ publicKey }: OutsideHost, visit: Visit): void {
  const keys: ControlKeys = {
    publicKey: formatMachinePublic(publicKey),
    legacyPublicKey: NO_MACHINE_KEY,
  };
  json(visit, 200, keys);
}

function noHandshake(host: OutsideHost, visit: Visit): void {
  visit.response.setHeader('Upgrade', 'tailscale-control-protocol');
  refuse(host, visit, 'ts2021: no handshake', 426);
}

async function verify(host: OutsideHost, visit: Visit): Promise<void> {
  const body = await bodyOf(visit.request);
  if (body === undefined) return refuse(host, visit, 'body: too large', 413);
  const asked = read('VerifyRequest', VERIFY_REQUEST, body, MAX_BODY_BYTES);
  if ('reason' in asked) return refuse(host, visit, asked.reason, 400);
  const { model, now } = host.coordinator.network;
  const id = model.index.nodeByKey.get(asked.value.NodePublic);
  const node = id === undefined ? undefined : model.nodes.get(id);
  json(visit, 200, { Allow: node !== undefined && !isExpired(node, now) });
}

function noContent(_host: OutsideHost, { request, response }: Visit): void {
  const challenge = String(request.headers['x-tailscale-challenge'] ?? '');
  if (CHALLENGE.test(challenge))
    response.setHeader('X-Tailscale-Response', `response ${challenge}`);
  response.writeHead(204).end();
}

/** What exactly is wrong is for those who may read the log. */
function health(host: OutsideHost, visit: Visit): void {
  const isIll = host.health().some(({ severity }) => severity === 'error');
  text(visit, isIll ? 503 : 200, isIll ? 'ill\n' : 'ok\n');
}

function probe({ probes }: OutsideHost, visit: Visit): void {
  const known = probes?.answered(visit.url.searchParams.get('id') ?? '', undefined) ?? false;
  text(visit, known ? 200 : 404, '');
}

function login({ coordinator }: OutsideHost, visit: Visit): void {
  const { status, html } = loginPage(coordinator.network, visit.url.pathname.slice(-32));
  send(visit, status, 'text/html; charset=utf-8', html, PAGE_HEADERS);
}

/** Undefined: too much. A body that never ends is cut off with its connection (front.ts). */
async function bodyOf(request: IncomingMessage): Promise<Uint8Array | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) return undefined;
  return collect(request, MAX_BODY_BYTES);
}

function refuse({ tally }: OutsideHost, visit: Visit, reason: Refusal, status: number): void {
  tally.refuse(reason, { from: visit.remote.text });
  text(visit, status, `${reason}\n`);
}

const json = (visit: Visit, status: number, body: object): void =>
  send(visit, status, 'application/json', JSON.stringify(body));

const text = (visit: Visit, status: number, body: string): void =>
  send(visit, status, 'text/plain; charset=utf-8', body);

function send(
  { response }: Visit,
  status: number,
  type: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}
