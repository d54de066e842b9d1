/**
 * The kernel's packet filter, by the program `nft` (nftables): a script is one transaction, done whole or not at
 * all. The program runs by argument list, without a shell; what it is to do comes on its standard input.
 *
 * The kernel tells of changes to rules only on a netlink family of its own, so whoever must know that a table is
 * still there lists it.
 */

import { spawn } from 'node:child_process';
import { ConfigError, NetError } from '../base/errors.ts';

const PROGRAM = 'nft';
/** Started by systemd or by hand, with whatever environment: the program of the system is meant. */
const SEARCH_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';
const QUOTED_CHARACTERS = 500;

/** Does all of `script` or nothing. @throws ConfigError, NetError with what `nft` said */
export async function loadRules(script: string): Promise<void> {
  const { code, stderr } = await run(['-f', '-'], script);
  if (code !== 0) throw failure('cannot load packet filter rules', stderr);
}

/** How the kernel has a table of the family `inet`, without counters; undefined where there is none. */
export async function listTable(table: string): Promise<string | undefined> {
  const { code, stdout, stderr } = await run(['-s', 'list', 'table', 'inet', table], '');
  if (code === 0) return stdout;
  if (/No such file or directory/.test(stderr)) return undefined;
  throw failure(`cannot list the packet filter's table ${table}`, stderr);
}

/** A table that is not there is no error. */
export async function deleteTable(table: string): Promise<void> {
  await loadRules(`add table inet ${table}\ndelete table inet ${table}\n`);
}

function failure(what: string, stderr: string): Error {
  const text = `${what}: ${stderr.trim().replaceAll('\n', '; ').slice(0, QUOTED_CHARACTERS)}`;
  if (/Operation not permitted/.test(stderr))
    return new ConfigError(
      `${text}: the program needs CAP_NET_ADMIN (run it as root or by its unit)`,
    );
  return new NetError(text);
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], input: string): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(PROGRAM, args, { env: { PATH: SEARCH_PATH, LC_ALL: 'C' } });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    // It may end before it has read all of its rules.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT')
        reject(new ConfigError(`the program 'nft' is not there: install the package nftables`));
      else reject(new NetError(`cannot run 'nft': ${error.message}`, { cause: error }));
    });
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
