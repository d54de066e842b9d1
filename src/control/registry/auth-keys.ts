/**
 * Pre-auth keys: what lets a machine join without a person at a page.
 *
 *     pkey-<prefix 12>-<secret 40>     base 32 without look-alikes; 60 and 200 bits
 *
 * The whole text is shown once, to whoever made the key. Kept are the prefix, by which lists and lookups
 * name it, and a hash: 200 random bits need no slow one. Whether a key is good is asked in `authKeyFault`
 * alone, within the change that consumes it, so that two machines cannot both have the last use.
 */

import { equalSecret, fromHex, toHex } from '../../base/bytes.ts';
import type { UnixMillis } from '../../base/time.ts';
import { unixMillis } from '../../base/time.ts';
import { blake2s } from '../../crypto/blake2s.ts';
import type { Context, Outcome, Refused } from './change.ts';
import { done, refused } from './change.ts';
import { dropAuthKey, putAuthKey } from './edit.ts';
import type { AuthKey, AuthKeyId, Model, UserId } from './model.ts';
import { tagFault } from './tags.ts';

/** No i, l, o, u: nobody mistakes one letter for another, and few words come out. */
const LETTERS = '0123456789abcdefghjkmnpqrstvwxyz';
const PREFIX_LETTERS = 12;
const SECRET_LETTERS = 40;
const TOKEN = /^pkey-([0-9a-z]{12})-[0-9a-z]{40}$/;

export interface NewAuthKey {
  /** null for a key that makes tagged nodes. */
  readonly user: UserId | null;
  readonly tags?: readonly string[];
  readonly reusable?: boolean;
  readonly ephemeral?: boolean;
  /** From now; null: until it is revoked. */
  readonly lifetimeMillis: number | null;
}

/** Makes a key; the result has its text, which is nowhere else. */
export function createAuthKey(
  model: Model,
  request: NewAuthKey,
  context: Context,
): Outcome<{ readonly key: AuthKey; readonly token: string }> {
  const tags = [...new Set(request.tags ?? [])].sort();
  const wrong = keyRequestFault(model, request, tags);
  if (wrong !== undefined) return wrong;
  const letters = lettersOf(context.random, PREFIX_LETTERS + SECRET_LETTERS);
  const prefix = letters.slice(0, PREFIX_LETTERS);
  const token = `pkey-${prefix}-${letters.slice(PREFIX_LETTERS)}`;
  const { counters } = model;
  const { lifetimeMillis } = request;
  const key: AuthKey = {
    id: counters.nextAuthKey,
    prefix,
    hash: toHex(digest(token)),
    // A node has one owner: what a tagged key makes is the tags' alone.
    user: tags.length > 0 ? null : request.user,
    tags,
    reusable: request.reusable ?? false,
    ephemeral: request.ephemeral ?? false,
    created: context.now,
    expires: lifetimeMillis === null ? null : unixMillis(context.now + lifetimeMillis),
    uses: 0,
    revoked: false,
  };
  const counted = { ...model, counters: { ...counters, nextAuthKey: key.id + 1 } };
  return done(
    putAuthKey(counted, key),
    context,
    [{ type: 'keys changed' }],
    { action: 'keys.create', target: keyLabel(key), before: null, after: listed(key) },
    { key, token },
  );
}

/** The key works no more, and stays in the list. */
export function revokeAuthKey(
  model: Model,
  request: { readonly key: AuthKeyId },
  context: Context,
): Outcome<AuthKey> {
  const before = model.authKeys.get(request.key);
  if (before === undefined) return refused('not found', `there is no key ${request.key}`);
  const key = { ...before, revoked: true };
  return done(
    putAuthKey(model, key),
    context,
    [{ type: 'keys changed' }],
    { action: 'keys.revoke', target: keyLabel(key), before: listed(before), after: listed(key) },
    key,
  );
}

export function deleteAuthKey(
  model: Model,
  request: { readonly key: AuthKeyId },
  context: Context,
): Outcome<null> {
  const key = model.authKeys.get(request.key);
  if (key === undefined) return refused('not found', `there is no key ${request.key}`);
  return done(
    dropAuthKey(model, key.id),
    context,
    [{ type: 'keys changed' }],
    { action: 'keys.delete', target: keyLabel(key), before: listed(key), after: null },
    null,
  );
}

/** The key that a text is, compared in constant time; undefined for one that is no key of ours. */
export function authKeyOf(model: Model, token: string): AuthKey | undefined {
  const prefix = TOKEN.exec(token)?.[1];
  const id = prefix === undefined ? undefined : model.index.authKeyByPrefix.get(prefix);
  const key = id === undefined ? undefined : model.authKeys.get(id);
  if (key === undefined) return undefined;
  const kept = fromHex(key.hash, 32);
  return kept && equalSecret(kept, digest(token)) ? key : undefined;
}

/** Why a key lets nobody in now; undefined where it does. */
export function authKeyFault(
  model: Model,
  key: AuthKey,
  { now, clockTrusted }: { readonly now: UnixMillis; readonly clockTrusted: boolean },
): Refused | undefined {
  if (key.revoked) return refused('denied', 'this auth key has been revoked');
  if (!key.reusable && key.uses > 0) return refused('denied', 'this auth key has been used');
  if (key.expires !== null) {
    if (now >= key.expires) return refused('denied', 'this auth key has expired');
    if (!clockTrusted)
      return refused('clock', 'the server does not know the time yet; try again in a minute');
  }
  if (key.user !== null && !model.users.has(key.user))
    return refused('denied', 'the user of this auth key is gone');
  return undefined;
}

/** A key as people and the audit log may see it. */
export function listed({ hash: _, ...key }: AuthKey): Omit<AuthKey, 'hash'> {
  return key;
}

const keyLabel = ({ id, prefix }: AuthKey): string => `key ${id} (${prefix})`;

const digest = (token: string): Uint8Array => blake2s(new TextEncoder().encode(token));

/** One letter out of each byte: 256 is a multiple of 32, so none is likelier. */
const lettersOf = (random: Uint8Array, count: number): string =>
  Array.from(random.subarray(0, count), (byte) => LETTERS[byte & 31]).join('');

function keyRequestFault(
  model: Model,
  request: NewAuthKey,
  tags: readonly string[],
): Refused | undefined {
  if (request.user !== null && !model.users.has(request.user))
    return refused('not found', `there is no user ${request.user}`);
  if (request.user === null && tags.length === 0)
    return refused('bad request', 'a key needs a user or tags: whose are its nodes to be?');
  if (request.lifetimeMillis !== null && !(request.lifetimeMillis > 0))
    return refused('bad request', 'the lifetime of a key must be more than nothing');
  return tagFault(tags);
}
