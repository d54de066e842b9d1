/**
 * Names in the mesh: one DNS label for each node and LAN device, out of what a machine says its host name is.
 *
 *     Joe's Mac mini    joes-mac-mini          a label is a-z 0-9 -, at most 63 long, no - at its ends
 *     NAS.local         nas                    RFC 1123 2.1, RFC 1035 2.3.1
 *     (the second)      nas-1, then nas-2
 */

import type { Model } from './model.ts';

const MAX_LABEL = 63;

/** Suffixes that home networks hang on a host name, and that say nothing. */
const LOCAL_SUFFIX = /\.(?:local|localdomain|lan|home|internal)\.?$/;

/**
 * Labels that no machine gets by itself: a resolver or a browser looks them up in every search domain and
 * trusts the answer (localhost of RFC 6761, the proxy search of WPAD, ISATAP of RFC 5214).
 */
const RESERVED: readonly string[] = ['localhost', 'wpad', 'isatap'];

/** A label for what a machine calls itself; `node` where nothing of it can be kept. */
export function sanitisedName(hostname: string): string {
  const plain = hostname
    .slice(0, 256)
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[\u0300-\u036f'\u2019]/g, '')
    .replace(LOCAL_SUFFIX, '')
    .replace(/[^a-z0-9]+/g, '-');
  return trimmed(plain.replace(/^-/, '').slice(0, MAX_LABEL)) || 'node';
}

/** Whether a person may choose it as it stands. */
export const isLabel = (text: string): boolean =>
  /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text) && !RESERVED.includes(text);

/** The label itself, or the first of label-1, label-2, … that nobody but `holder` has. */
export function freeName(model: Model, label: string, holder: string): string {
  for (let suffix = 0; ; suffix++) {
    const ending = suffix === 0 ? '' : `-${suffix}`;
    const name = `${trimmed(label.slice(0, MAX_LABEL - ending.length))}${ending}`;
    const held = model.index.labels.get(name);
    if ((held === undefined || held === holder) && !RESERVED.includes(name)) return name;
  }
}

/** A domain name of at least one label, without a last dot. */
export const isDomain = (text: string): boolean =>
  text.length <= 253 &&
  text.split('.').every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?$/.test(label));

const trimmed = (label: string): string => label.replace(/-+$/, '');
