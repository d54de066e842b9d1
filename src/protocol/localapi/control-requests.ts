/**
 * What may be asked on `control.sock`: the fields of each action, and their shapes. What a text means (a
 * login, a tag, a prefix) is decided where it is used; here are kinds and bounds.
 *
 *     user, node, key, approval   as a person names them: login, name, address, id
 *     expiry, when                control-durations.ts
 */

import type { Shape } from '../tailcfg/shape.ts';
import {
  bool,
  list,
  maybe,
  nullable,
  object,
  oneOf,
  record,
  text,
  whole,
} from '../tailcfg/shape.ts';
import { DURATION_FORM, parseDuration, parseWhen } from './control-durations.ts';
import type { Action, Role } from './control-rights.ts';

type Nothing = Readonly<Record<never, never>>;

export interface NewUserRequest {
  readonly login: string;
  readonly displayName?: string;
  readonly role?: Role;
}

export interface NewKeyRequest {
  readonly user?: string;
  readonly tags?: readonly string[];
  readonly reusable?: boolean;
  readonly ephemeral?: boolean;
  /** A duration or `never`; an hour without it. */
  readonly expiry?: string;
}

export interface ApprovalRequest {
  /** The id of a login that waits, what it begins with, or the whole URL that the machine shows. */
  readonly approval: string;
  /** Without user and tags: the asker's own. */
  readonly user?: string;
  readonly tags?: readonly string[];
}

/** Some prefixes, the exit pair, or all that the node announces (approve) or may (withdraw). */
export interface RoutesRequest {
  readonly node: string;
  readonly prefixes?: readonly string[];
  readonly exit?: boolean;
  readonly all?: boolean;
}

export interface DnsRequest {
  readonly baseDomain?: string;
  readonly nameservers?: readonly string[];
  /** These suffixes alone; null ends one. */
  readonly splitDns?: Readonly<Record<string, readonly string[] | null>>;
  readonly searchDomains?: readonly string[];
  readonly overrideLocalDns?: boolean;
}

export interface Requests extends Readonly<Record<Action, object>> {
  readonly 'users.list': Nothing;
  readonly 'users.create': NewUserRequest;
  readonly 'users.rename': {
    readonly user: string;
    readonly login: string;
    readonly displayName?: string;
  };
  readonly 'users.delete': { readonly user: string };
  readonly 'users.role': { readonly user: string; readonly role: Role };
  readonly 'keys.list': Nothing;
  readonly 'keys.create': NewKeyRequest;
  readonly 'keys.revoke': { readonly key: string };
  readonly 'keys.delete': { readonly key: string };
  readonly 'nodes.list': { readonly user?: string };
  readonly 'nodes.show': { readonly node: string };
  /** An empty name: follow the machine's host name again. */
  readonly 'nodes.rename': { readonly node: string; readonly name: string };
  readonly 'nodes.expire': { readonly node: string; readonly when: string };
  readonly 'nodes.delete': { readonly node: string };
  readonly 'nodes.tag': { readonly node: string; readonly tags: readonly string[] };
  readonly 'nodes.waiting': Nothing;
  readonly 'nodes.approve': ApprovalRequest;
  readonly 'nodes.refuse': { readonly approval: string };
  readonly 'routes.list': { readonly node?: string };
  readonly 'routes.approve': RoutesRequest;
  readonly 'routes.withdraw': RoutesRequest;
  readonly 'dns.show': Nothing;
  readonly 'dns.set': DnsRequest;
  /** A name without a dot is below the base domain; the type follows from the address. */
  readonly 'dns.add': { readonly name: string; readonly value: string };
  readonly 'dns.remove': { readonly name: string; readonly value?: string };
  readonly 'relay.show': Nothing;
  /** The newest first. @property before only records with a smaller id */
  readonly 'audit.list': { readonly limit?: number; readonly before?: number };
  readonly status: Nothing;
}

export const MOST_AUDIT_RECORDS = 1000;

/** A name that a person typed. */
const name = text(256, 'a text', (value) => value.trim() !== '');
const label = text(256);
const names: Shape<readonly string[]> = list(name, 64);
const role: Shape<Role> = oneOf('owner', 'admin', 'member');
const nothing: Shape<Nothing> = object<Nothing>({});
const expiry = text(
  16,
  `${DURATION_FORM}, or never,`,
  (value) => value === 'never' || parseDuration(value) !== undefined,
);
const when = text(
  40,
  `now, never, ${DURATION_FORM}, or a time like 2026-12-01T08:00:00Z,`,
  (value) => parseWhen(value) !== undefined,
);
const routes: Shape<RoutesRequest> = object<RoutesRequest>({
  node: name,
  prefixes: maybe(list(name, 512)),
  exit: maybe(bool),
  all: maybe(bool),
});

export const REQUESTS: { readonly [A in Action]: Shape<Requests[A]> } = {
  'users.list': nothing,
  'users.create': object<NewUserRequest>({
    login: name,
    displayName: maybe(label),
    role: maybe(role),
  }),
  'users.rename': object<Requests['users.rename']>({
    user: name,
    login: name,
    displayName: maybe(label),
  }),
  'users.delete': object<Requests['users.delete']>({ user: name }),
  'users.role': object<Requests['users.role']>({ user: name, role }),
  'keys.list': nothing,
  'keys.create': object<NewKeyRequest>({
    user: maybe(name),
    tags: maybe(names),
    reusable: maybe(bool),
    ephemeral: maybe(bool),
    expiry: maybe(expiry),
  }),
  'keys.revoke': object<Requests['keys.revoke']>({ key: name }),
  'keys.delete': object<Requests['keys.delete']>({ key: name }),
  'nodes.list': object<Requests['nodes.list']>({ user: maybe(name) }),
  'nodes.show': object<Requests['nodes.show']>({ node: name }),
  'nodes.rename': object<Requests['nodes.rename']>({ node: name, name: label }),
  'nodes.expire': object<Requests['nodes.expire']>({ node: name, when }),
  'nodes.delete': object<Requests['nodes.delete']>({ node: name }),
  'nodes.tag': object<Requests['nodes.tag']>({ node: name, tags: names }),
  'nodes.waiting': nothing,
  'nodes.approve': object<ApprovalRequest>({
    approval: text(2048, 'a text', (value) => value.trim() !== ''),
    user: maybe(name),
    tags: maybe(names),
  }),
  'nodes.refuse': object<Requests['nodes.refuse']>({ approval: text(2048) }),
  'routes.list': object<Requests['routes.list']>({ node: maybe(name) }),
  'routes.approve': routes,
  'routes.withdraw': routes,
  'dns.show': nothing,
  'dns.set': object<DnsRequest>({
    baseDomain: maybe(name),
    nameservers: maybe(names),
    splitDns: maybe(record(nullable(names), 256, name)),
    searchDomains: maybe(names),
    overrideLocalDns: maybe(bool),
  }),
  'dns.add': object<Requests['dns.add']>({ name, value: name }),
  'dns.remove': object<Requests['dns.remove']>({ name, value: maybe(name) }),
  'relay.show': nothing,
  'audit.list': object<Requests['audit.list']>({
    limit: maybe(whole(1, MOST_AUDIT_RECORDS)),
    before: maybe(whole(1, Number.MAX_SAFE_INTEGER)),
  }),
  status: nothing,
};
