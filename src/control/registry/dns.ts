/** Names of the network: base domain, resolvers, split DNS, extra records, and the settings they live among. */

import { parseEndpoint } from '../../base/endpoint.ts';
import { parseIp } from '../../base/ip.ts';
import { isPool } from './addresses.ts';
import type { Context, Outcome, Refused } from './change.ts';
import { done, refused, unchanged } from './change.ts';
import { dropRecord, labelOf, putRecord } from './edit.ts';
import type { ExtraRecord, Model, Settings } from './model.ts';
import { RECORD_HOLDER, recordKey } from './model.ts';
import { isDomain } from './names.ts';

const MAX_RECORDS = 1000;
const MAX_RESOLVERS = 16;

export function addRecord(
  model: Model,
  request: ExtraRecord,
  context: Context,
): Outcome<ExtraRecord> {
  const record = { ...request, name: request.name.toLowerCase().replace(/\.$/, '') };
  if (!isDomain(record.name)) return refused('bad request', `'${request.name}' is no domain name`);
  const bytes = parseIp(record.value)?.length;
  if (bytes !== (record.type === 'A' ? 4 : 16))
    return refused('bad request', `'${record.value}' is no address for a record ${record.type}`);
  if (model.records.has(recordKey(record))) return unchanged(model, record);
  if (model.records.size >= MAX_RECORDS)
    return refused('full', `there are ${MAX_RECORDS} extra records already`);
  const label = labelOf(record.name, model.settings.baseDomain);
  const holder = label === undefined ? undefined : model.index.labels.get(label);
  if (holder !== undefined && holder !== RECORD_HOLDER)
    return refused('taken', `${record.name} is the name of ${holder}`);
  return done(
    putRecord(model, record),
    context,
    [{ type: 'dns changed' }],
    { action: 'dns.add', target: record.name, before: null, after: record },
    record,
  );
}

export function removeRecord(model: Model, record: ExtraRecord, context: Context): Outcome<null> {
  if (!model.records.has(recordKey(record)))
    return refused('not found', `there is no record ${recordKey(record)}`);
  return done(
    dropRecord(model, record),
    context,
    [{ type: 'dns changed' }],
    { action: 'dns.remove', target: record.name, before: record, after: null },
    null,
  );
}

/** Any of the settings; addresses that were given stay, whatever the pool becomes. */
export function changeSettings(
  model: Model,
  request: Partial<Settings>,
  context: Context,
): Outcome<Settings> {
  const before = model.settings;
  const after = { ...before, ...request };
  if (JSON.stringify(before) === JSON.stringify(after)) return unchanged(model, before);
  const fault = settingsFault(after);
  if (fault !== undefined) return fault;
  const next = relabelled({ ...model, settings: after }, before.baseDomain);
  if (typeof next === 'string')
    return refused('taken', `the record ${next} would have the name of a node or device`);
  return done(
    next,
    context,
    [{ type: 'dns changed' }],
    { action: 'settings.change', target: Object.keys(request).join(', '), before, after },
    after,
  );
}

/** What is wrong with settings as they stand; also asked of those of a configuration file. */
export function settingsFault(settings: Settings): Refused | undefined {
  const { baseDomain, pool, keyLifetimeMillis, nameservers, splitDns, searchDomains } = settings;
  const bad = (text: string): Refused => refused('bad request', text);
  if (!isDomain(baseDomain) || !baseDomain.includes('.'))
    return bad(`the base domain '${baseDomain}' needs two labels or more, like mesh.internal`);
  if (!isPool(pool))
    return bad(`the pool ${pool} is no IPv4 prefix within 100.64.0.0/10, /30 or shorter`);
  if (keyLifetimeMillis !== null && !(keyLifetimeMillis >= 60_000))
    return bad('a key must live for a minute at least');
  const domain = [...searchDomains, ...Object.keys(splitDns)].find((name) => !isDomain(name));
  if (domain !== undefined) return bad(`'${domain}' is no domain name`);
  const resolvers = [nameservers, ...Object.values(splitDns)];
  if (resolvers.some((list) => list.length > MAX_RESOLVERS))
    return bad(`more than ${MAX_RESOLVERS} resolvers for one suffix`);
  const resolver = resolvers.flat().find((text) => !isResolver(text));
  return resolver === undefined
    ? undefined
    : bad(`'${resolver}' is no resolver: an address, address:port or https:// URL`);
}

const isResolver = (text: string): boolean =>
  parseIp(text) !== undefined ||
  parseEndpoint(text) !== undefined ||
  /^https:\/\/[^\s]+$/.test(text);

/** Labels of records after the base domain has changed; the name of the first record that collides. */
function relabelled(model: Model, baseDomainBefore: string): Model | string {
  const { baseDomain } = model.settings;
  if (baseDomain === baseDomainBefore) return model;
  const records = [...model.records.values()];
  let labels = model.index.labels;
  for (const { name } of records) {
    const label = labelOf(name, baseDomainBefore);
    if (label !== undefined) labels = labels.delete(label);
  }
  for (const { name } of records) {
    const label = labelOf(name, baseDomain);
    if (label === undefined) continue;
    if ((labels.get(label) ?? RECORD_HOLDER) !== RECORD_HOLDER) return name;
    labels = labels.set(label, RECORD_HOLDER);
  }
  return { ...model, index: { ...model.index, labels } };
}
