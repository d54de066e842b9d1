/**
 * Who asks: from what the kernel says of a process on the socket to one who may operate the node, or a looker.
 *
 *     uid 0, the node's own uid                     operator
 *     gid of the group, or its member by name       operator
 *     any other                                     may look
 *
 * The kernel tells the main group of a process only, so further ones are looked up: in the files of group(5) and
 * passwd(5), which is where the people of an appliance are. They are read for each request, so that a member who
 * is taken out of the group has no right left.
 */

import type { Answered } from '../../protocol/localapi/exchange.ts';
import type { Credentials } from '../../store/local-http.ts';
import type { ReadSystemFile } from './ports.ts';

export interface NodeCaller {
  readonly uid: number;
  readonly operator: boolean;
}

export interface Operators {
  /** Of the node's process. */
  readonly ownUid: number;
  readonly group: string;
  readonly readFile: ReadSystemFile;
}

export function callerOf(
  { ownUid, group, readFile }: Operators,
  credentials: Credentials | undefined,
): Answered<NodeCaller> {
  if (credentials === undefined)
    return { ok: false, code: 'denied', reason: 'the system does not say whose process this is' };
  const { uid, gid } = credentials;
  const operator = uid === 0 || uid === ownUid || inGroup(group, uid, gid, readFile);
  return { ok: true, body: { uid, operator } };
}

function inGroup(group: string, uid: number, gid: number, readFile: ReadSystemFile): boolean {
  const entry = groupEntry(group, readFile);
  if (entry === undefined) return false;
  if (entry.gid === gid) return true;
  // Two names may have one uid, and either counts.
  return rows(readFile('/etc/passwd')).some(
    ([name = '', , number]) => number === String(uid) && entry.members.includes(name),
  );
}

function groupEntry(
  group: string,
  readFile: ReadSystemFile,
): { readonly gid: number; readonly members: readonly string[] } | undefined {
  const row = rows(readFile('/etc/group')).find(([name]) => name === group);
  const [, , gid = '', members = ''] = row ?? [];
  if (!/^\d{1,10}$/.test(gid)) return undefined;
  return { gid: Number(gid), members: members.split(',').filter((name) => name !== '') };
}

const rows = (text: string | undefined): string[][] =>
  (text ?? '').split('\n').map((line) => line.split(':'));
