/**
 * Keys as text: what kind, a colon, 64 digits of lower-case hexadecimal.
 *
 *     mkey:      machine, public      nodekey:   node (WireGuard), public
 *     discokey:  disco, public        chalpub:   challenge of the early payload, public
 *     privkey:   the private half of a machine's or a node's
 *
 * One key has one text, so that texts may be compared and kept as names. All zeros stand for "no key". A
 * private key is written by `formatPrivate` alone, and its text goes nowhere but into a file of ours.
 */

import { fromHex, toHex } from '../../base/bytes.ts';
import type {
  DiscoPublic,
  MachinePrivate,
  MachinePublic,
  NodePrivate,
  NodePublic,
} from '../../base/keys.ts';
import { discoPublic, KEY_BYTES, machinePublic, nodePublic } from '../../base/keys.ts';

declare const brand: unique symbol;

/** What the server offers in the early payload; no client answers it today. 32 bytes. */
export type ChallengePublic = Uint8Array & { readonly [brand]: 'ChallengePublic' };

export type MachineKeyText = `mkey:${string}`;
export type NodeKeyText = `nodekey:${string}`;
export type DiscoKeyText = `discokey:${string}`;
export type ChallengeKeyText = `chalpub:${string}`;

const ZERO_DIGITS = '0'.repeat(2 * KEY_BYTES);

/** As `OldNodeKey` of a machine that had none. */
export const NO_NODE_KEY: NodeKeyText = `nodekey:${ZERO_DIGITS}`;

/** Whether `text` is `prefix` and 64 lower-case hexadecimal digits. */
export function isKeyText(text: string, prefix: string): boolean {
  if (text.length !== prefix.length + 2 * KEY_BYTES || !text.startsWith(prefix)) return false;
  for (let i = prefix.length; i < text.length; i++) {
    const code = text.charCodeAt(i);
    // 0 to 9, a to f.
    if (!((code >= 48 && code <= 57) || (code >= 97 && code <= 102))) return false;
  }
  return true;
}

/** Whether a well-formed text is that of no key. */
export const isNoKey = (text: string): boolean => text.endsWith(`:${ZERO_DIGITS}`);

/** The key, or undefined where the text is of another kind or malformed. Zeros are a key here. */
export function parseMachinePublic(text: string): MachinePublic | undefined {
  const bytes = digits(text, 'mkey:');
  return bytes && machinePublic(bytes);
}

export function parseNodePublic(text: string): NodePublic | undefined {
  const bytes = digits(text, 'nodekey:');
  return bytes && nodePublic(bytes);
}

export function parseDiscoPublic(text: string): DiscoPublic | undefined {
  const bytes = digits(text, 'discokey:');
  return bytes && discoPublic(bytes);
}

export function parseChallengePublic(text: string): ChallengePublic | undefined {
  return digits(text, 'chalpub:') as ChallengePublic | undefined;
}

/** 32 secret bytes for a MachinePrivate or NodePrivate, the caller's to wipe; undefined for another text. */
export function parsePrivate(text: string): Uint8Array | undefined {
  return digits(text, 'privkey:');
}

export const formatMachinePublic = (key: MachinePublic): MachineKeyText => `mkey:${toHex(key)}`;
export const formatNodePublic = (key: NodePublic): NodeKeyText => `nodekey:${toHex(key)}`;
export const formatDiscoPublic = (key: DiscoPublic): DiscoKeyText => `discokey:${toHex(key)}`;
export const formatChallengePublic = (key: ChallengePublic): ChallengeKeyText =>
  `chalpub:${toHex(key)}`;
export const formatPrivate = (key: MachinePrivate | NodePrivate): string =>
  `privkey:${toHex(key.expose())}`;

function digits(text: string, prefix: string): Uint8Array | undefined {
  return isKeyText(text, prefix) ? fromHex(text.slice(prefix.length)) : undefined;
}
