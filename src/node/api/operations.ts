/** What an operator may ask: settings, logins, LAN devices, keys, and the inside for whoever searches a fault. */

import { toHex } from '../../base/bytes.ts';
import { formatIp, parseIp } from '../../base/ip.ts';
import type { Answered } from '../../protocol/localapi/exchange.ts';
import { answered } from '../../protocol/localapi/exchange.ts';
import type { BugReport } from '../../protocol/localapi/node-reports.ts';
import type { SettingsRequest } from '../../protocol/localapi/node-requests.ts';
import { findNode, fullName } from './finding.ts';
import type { ApiPorts, NodeHandlers } from './handler.ts';
import type { NodeBackend } from './ports.ts';

const MARKER_BYTES = 8;

export const wishHandlers: NodeHandlers<'up' | 'down' | 'set' | 'login' | 'logout' | 'key.rotate'> =
  {
    up: async ({ backend }, request) => {
      const settings = withExitNode(backend, request);
      if (!settings.ok) return settings;
      await backend.up(settings.body);
      return noticed(backend);
    },
    down: async ({ backend }) => {
      await backend.down();
      return noticed(backend);
    },
    set: async ({ backend }, request) => {
      if (Object.keys(request).length === 0)
        return { ok: false, code: 'bad request', reason: 'nothing to set was named' };
      const settings = withExitNode(backend, request);
      if (!settings.ok) return settings;
      return answered({ settings: await backend.set(settings.body) });
    },
    login: async ({ backend }, request) => {
      await backend.login(request);
      return noticed(backend);
    },
    logout: async ({ backend }) => {
      await backend.logout();
      return noticed(backend);
    },
    'key.rotate': async ({ backend }) => answered({ key: await backend.rotateKey() }),
  };

export const debugHandlers: NodeHandlers<
  'debug.netmap' | 'debug.drops' | 'debug.paths' | 'debug.metrics' | 'bugreport'
> = {
  'debug.netmap': async ({ backend }) => answered({ netmap: backend.netmap() }),
  'debug.drops': async ({ backend }) => answered(await backend.drops()),
  'debug.paths': async ({ backend }) => answered(backend.paths()),
  'debug.metrics': async ({ backend }) => answered({ text: await backend.metrics() }),
  bugreport: async (ports, { note }) => answered(await bugReport(ports, note ?? '')),
};

export const lanHandlers: NodeHandlers<
  'lan.list' | 'lan.add' | 'lan.remove' | 'lan.share' | 'lan.unshare'
> = {
  'lan.list': async ({ backend: { lan } }) =>
    answered({ devices: [...lan.list()].sort((a, b) => (a.name < b.name ? -1 : 1)) }),
  'lan.add': async ({ backend: { lan } }, request) =>
    answered({ device: await lan.add({ ...request, name: request.name.toLowerCase() }) }),
  'lan.remove': async ({ backend: { lan } }, { name }) =>
    (await lan.remove(name.toLowerCase())) ? answered({ deleted: name }) : unknownDevice(name),
  'lan.share': async ({ backend: { lan } }, { name }) =>
    oneDevice(name, await lan.share(name.toLowerCase())),
  'lan.unshare': async ({ backend: { lan } }, { name }) =>
    oneDevice(name, await lan.unshare(name.toLowerCase())),
};

const noticed = (
  backend: NodeBackend,
): Answered<{ readonly notice: ReturnType<NodeBackend['notice']> }> =>
  answered({ notice: backend.notice() });

const unknownDevice = (name: string): Answered<never> => ({
  ok: false,
  code: 'not found',
  reason: `there is no LAN device ${name}; add it: postern lan add ${name} ADDRESS`,
});

const oneDevice = <T>(name: string, device: T | undefined): Answered<{ readonly device: T }> =>
  device === undefined ? unknownDevice(name) : answered({ device });

/** The exit node as what does not change: its stable id, or an address while no map knows whose it is. */
function withExitNode<T extends SettingsRequest>(backend: NodeBackend, request: T): Answered<T> {
  const { exitNode, advertiseExitNode } = request;
  if (exitNode === undefined || exitNode === '') return answered(request);
  if (advertiseExitNode === true)
    return {
      ok: false,
      code: 'bad request',
      reason: 'a machine cannot offer to be an exit node and use one itself; name one of the two',
    };
  const found = findNode(backend.status(), backend, exitNode);
  if (!found.ok) {
    const bytes = parseIp(exitNode);
    return bytes === undefined ? found : answered({ ...request, exitNode: formatIp(bytes) });
  }
  const { node, self, behind } = found.body;
  if (self || behind || !node.ExitNodeOption)
    return {
      ok: false,
      code: 'bad request',
      reason: `${self ? 'this machine' : fullName(node)} is no exit node; those that are: ${offers(backend)}`,
    };
  return answered({ ...request, exitNode: node.ID });
}

function offers(backend: NodeBackend): string {
  const names = Object.values(backend.status().Peer)
    .filter(({ ExitNodeOption }) => ExitNodeOption)
    .map(fullName);
  return names.length === 0 ? 'none; an admin approves them' : names.slice(0, 10).join(', ');
}

/** What one of the parts cannot tell is no reason to have no report. */
async function bugReport({ backend, random }: ApiPorts, note: string): Promise<BugReport> {
  const part = async (tell: () => unknown): Promise<unknown> => {
    try {
      return await tell();
    } catch (error) {
      return { error: String(error) };
    }
  };
  return {
    marker: `BUG-${toHex(random(MARKER_BYTES))}`,
    note,
    report: {
      machine: await part(() => backend.machineFacts()),
      status: await part(() => ({ ...backend.status(), AuthURL: '' })),
      dns: await part(() => backend.dnsStatus()),
      lan: await part(() => backend.lan.list()),
      drops: await part(() => backend.drops()),
      paths: await part(() => backend.paths()),
      metrics: await part(() => backend.metrics()),
    },
  };
}
