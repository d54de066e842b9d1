/** Names: base domain, resolvers, split DNS, search domains, extra records. */

import { parseIp } from '../../base/ip.ts';
import type { DnsRequest } from '../../protocol/localapi/control-requests.ts';
import { answered } from '../../protocol/localapi/exchange.ts';
import type { Outcome } from '../registry/change.ts';
import { refused } from '../registry/change.ts';
import { addRecord, changeSettings, removeRecord } from '../registry/dns.ts';
import type { ExtraRecord, Model, Settings } from '../registry/model.ts';
import type { Found } from './finding.ts';
import type { Handlers } from './handler.ts';
import { changed } from './handler.ts';
import { dnsReport } from './reports.ts';

export const dnsHandlers: Handlers<'dns.show' | 'dns.set' | 'dns.add' | 'dns.remove'> = {
  'dns.show': async ({ coordinator: { network } }) => answered({ dns: dnsReport(network.model) }),
  'dns.set': (ports, scope, request) =>
    changed(
      ports,
      scope,
      (model, context): Outcome<Settings> => {
        if (Object.keys(request).length === 0)
          return refused('bad request', 'nothing to set was named');
        return changeSettings(model, settingsFor(model, request), context);
      },
      ({ model }) => ({ dns: dnsReport(model) }),
    ),
  'dns.add': (ports, scope, { name, value }) =>
    changed(
      ports,
      scope,
      (model, context) => {
        const record = recordFor(model, name, value);
        return record.ok ? addRecord(model, record.it, context) : record;
      },
      (_network, record) => ({ record }),
    ),
  'dns.remove': (ports, scope, { name, value }) =>
    changed(
      ports,
      scope,
      (model, context) => {
        const found = findRecord(model, name, value);
        if (!found.ok) return found;
        const outcome = removeRecord(model, found.it, context);
        return outcome.ok ? { ...outcome, result: found.it } : outcome;
      },
      (_network, deleted) => ({ deleted }),
    ),
};

/** Suffixes that the request does not name stay as they are. */
function settingsFor({ settings }: Model, { splitDns, ...others }: DnsRequest): Partial<Settings> {
  if (splitDns === undefined) return others;
  const merged = Object.entries({ ...settings.splitDns, ...splitDns }).flatMap(
    ([suffix, resolvers]) => (resolvers === null ? [] : [[suffix, resolvers] as const]),
  );
  return { ...others, splitDns: Object.fromEntries(merged) };
}

function recordFor(model: Model, name: string, value: string): Found<ExtraRecord> {
  const bytes = parseIp(value);
  if (bytes === undefined) return refused('bad request', `'${value}' is no IPv4 or IPv6 address`);
  const type = bytes.length === 4 ? 'A' : 'AAAA';
  return { ok: true, it: { name: fullName(model, name), type, value } };
}

function findRecord(model: Model, text: string, value: string | undefined): Found<ExtraRecord> {
  const name = fullName(model, text);
  const named = [...model.records.values()]
    .filter((record) => record.name === name)
    .sort((a, b) => (a.value < b.value ? -1 : 1));
  const fitting = named.filter((record) => value === undefined || record.value === value);
  const [it] = fitting;
  const values = named.map((record) => record.value).join(', ');
  if (it === undefined)
    return refused(
      'not found',
      named.length === 0
        ? `there is no record ${name}`
        : `${name} has no record ${value}, but ${values}`,
    );
  if (fitting.length === 1) return { ok: true, it };
  return refused(
    'bad request',
    `${name} has ${fitting.length} records: ${values}; name one address`,
  );
}

/** One word is a name below the base domain. */
function fullName({ settings }: Model, text: string): string {
  const name = text.trim().toLowerCase().replace(/\.$/, '');
  return name.includes('.') ? name : `${name}.${settings.baseDomain}`;
}
