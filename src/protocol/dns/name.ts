/**
 * Domain names: labels on the wire, text with dots for the rest of the program.
 *
 *     wire   length 1..63 | bytes | ... | 0            at most 255 bytes in all
 *            11xxxxxx xxxxxxxx                         a pointer: the rest of the name stands there
 *     text   labels with dots between, none at the end; the root is the empty text. A byte that is no letter,
 *            digit, `-`, `_` or `*` is written `\ddd`, so that a text is one name and a dot always a border.
 *
 * A pointer must lead backwards, before everything that the name was read from so far; so no name takes
 * longer than the bytes before it, and there are no loops.
 *
 * Source: RFC 1035 3.1, 4.1.4, 5.1; case: RFC 4343.
 */

import { MAX_LABEL_BYTES, MAX_NAME_BYTES } from './constants.ts';

export interface ReadName {
  /** Case as it came. */
  readonly text: string;
  /** Where what follows the name begins. */
  readonly next: number;
}

const POINTER = 0xc0;
const HOST_NAME =
  /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/** The name at `at`, or undefined where there is none. Pointers below `floor` are none. */
export function readName(bytes: Uint8Array, at: number, floor: number): ReadName | undefined {
  const labels: string[] = [];
  let length = 1;
  let next: number | undefined;
  let start = at;
  for (;;) {
    const head = bytes[at];
    if (head === undefined) return undefined;
    if (head === 0) return { text: labels.join('.'), next: next ?? at + 1 };
    if ((head & POINTER) === POINTER) {
      const target = ((head & 0x3f) << 8) | (bytes[at + 1] ?? 0);
      if (at + 1 >= bytes.length || target >= start || target < floor) return undefined;
      next ??= at + 2;
      at = target;
      start = target;
      continue;
    }
    if (head > MAX_LABEL_BYTES || at + 1 + head > bytes.length) return undefined;
    length += 1 + head;
    if (length > MAX_NAME_BYTES) return undefined;
    labels.push(labelText(bytes.subarray(at + 1, at + 1 + head)));
    at += 1 + head;
  }
}

/** Labels of a text, each as bytes without its length; undefined where it is no name. */
export function labelsOf(text: string): Uint8Array[] | undefined {
  if (text === '') return [];
  const labels: Uint8Array[] = [];
  let length = 1;
  for (const part of text.split('.')) {
    const label = labelBytes(part);
    if (label === undefined || label.length === 0 || label.length > MAX_LABEL_BYTES)
      return undefined;
    length += 1 + label.length;
    labels.push(label);
  }
  return length <= MAX_NAME_BYTES ? labels : undefined;
}

/** A name on the wire, uncompressed; undefined where the text is no name. */
export function nameBytes(text: string): Uint8Array | undefined {
  const labels = labelsOf(text);
  if (labels === undefined) return undefined;
  return Uint8Array.from([...labels.flatMap((label) => [label.length, ...label]), 0]);
}

/** The form in which names are compared: small letters, no dot at the end. */
export function canonicalName(text: string): string {
  return (text.endsWith('.') ? text.slice(0, -1) : text).toLowerCase();
}

/** The name without its first label; undefined for the root. */
export function parentName(name: string): string | undefined {
  if (name === '') return undefined;
  const dot = name.indexOf('.');
  return dot < 0 ? '' : name.slice(dot + 1);
}

/** The entry of the longest suffix of `name` (itself and the root too) that `entries` has. Canonical names. */
export function longestSuffix<T>(
  name: string,
  entries: { readonly get: (suffix: string) => T | undefined },
): T | undefined {
  for (let at: string | undefined = name; at !== undefined; at = parentName(at)) {
    const entry = entries.get(at);
    if (entry !== undefined) return entry;
  }
  return undefined;
}

/**
 * Whether `name` (canonical) may stand in a resolver's configuration and in a zone of ours: letters, digits,
 * `-` and `_`, no label that a program could take for an option. Not the root.
 */
export function isHostName(name: string): boolean {
  return name.length <= MAX_NAME_BYTES - 2 && HOST_NAME.test(name);
}

/** The name below which `address` is looked up backwards (RFC 1035 3.5, RFC 3596 2.5). */
export function reverseName(address: Uint8Array): string {
  if (address.length === 4) return `${[...address].reverse().join('.')}.in-addr.arpa`;
  const nibbles = [...address].flatMap((byte) => [byte >> 4, byte & 0xf]);
  return `${nibbles
    .reverse()
    .map((nibble) => nibble.toString(16))
    .join('.')}.ip6.arpa`;
}

function labelText(label: Uint8Array): string {
  let text = '';
  for (const byte of label) {
    const plain = isPlain(byte);
    text += plain ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, '0')}`;
  }
  return text;
}

function isPlain(byte: number): boolean {
  if (byte >= 0x30 && byte <= 0x39) return true;
  if ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a) return true;
  return byte === 0x2d || byte === 0x5f || byte === 0x2a;
}

function labelBytes(text: string): Uint8Array | undefined {
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code !== 0x5c) {
      if (!isPlain(code)) return undefined;
      bytes.push(code);
      continue;
    }
    const digits = text.slice(i + 1, i + 4);
    if (!/^\d{3}$/.test(digits) || Number(digits) > 255) return undefined;
    bytes.push(Number(digits));
    i += 3;
  }
  return Uint8Array.from(bytes);
}
