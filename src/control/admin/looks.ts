/** What is only looked at: relay, audit log, how the server is. */

import { NetError } from '../../base/errors.ts';
import { unixMillis } from '../../base/time.ts';
import type { AuditReport } from '../../protocol/localapi/control-reports.ts';
import type { Answered } from '../../protocol/localapi/exchange.ts';
import { answered } from '../../protocol/localapi/exchange.ts';
import { formatTime } from '../../protocol/tailcfg/time.ts';
import { waitingApprovals } from '../registry/approvals.ts';
import type { AuditRecord } from '../registry/change.ts';
import { isOnline } from '../registry/live.ts';
import type { Handlers } from './handler.ts';

const DEFAULT_RECORDS = 100;

const NO_RELAY = {
  connections: 0,
  clients: 0,
  packets: 0,
  packetBytes: 0,
  dropped: 0,
  stunAnswers: 0,
  refused: {},
};

export const lookHandlers: Handlers<'relay.show' | 'audit.list' | 'status'> = {
  'relay.show': async (ports) =>
    asked(async () => {
      const report = await ports.relay();
      if (report === undefined) return { relay: { on: false, ...NO_RELAY } };
      const { connections, clients, packets, packetBytes, dropped, stunAnswers, refused } = report;
      const relay = { connections, clients, packets, packetBytes, dropped, stunAnswers, refused };
      return { relay: { on: true, ...relay } };
    }),
  'audit.list': async (ports, _scope, { limit = DEFAULT_RECORDS, before }) =>
    asked(async () => {
      const lines = await ports.readLog(limit, before);
      const last = lines.length === limit ? lines.at(-1) : undefined;
      return { records: lines.map(auditReport), next: last?.id ?? null };
    }),
  status: async ({ coordinator: { network }, version, health }) => {
    const { model, live, now } = network;
    const online = [...model.nodes.values()].filter(({ id }) => isOnline(live, id)).length;
    return answered({
      server: {
        version,
        users: model.users.size,
        nodes: model.nodes.size,
        online,
        waiting: waitingApprovals(model, now).length,
        now: formatTime(now),
        health: health(),
      },
    });
  },
};

async function asked<T>(ask: () => Promise<T>): Promise<Answered<T>> {
  try {
    return answered(await ask());
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    return { ok: false, code: 'unavailable', reason: error.message };
  }
}

/** The store keeps the record as it was made (registry/change.ts). */
function auditReport(line: { readonly id: number; readonly body: string }): AuditReport {
  const { at, by, action, target, before, after } = JSON.parse(line.body) as AuditRecord;
  return { id: line.id, at: formatTime(unixMillis(at)), by, action, target, before, after };
}
