/**
 * The kernel's packet filter, by the program `nft` (nftables): a script is one transaction, done whole or not at
 * all. The program runs by argument list, without a shell; what it is to do comes on its standard input.
 *
 * The kernel tells of changes to rules only on a netlink family of its own, so whoever must know that a table is
 * still there lists it.
 */

import { ConfigError, NetError } from '../base/errors.ts';
import type { Ended } from './program.ts';
import { runProgram } from './program.ts';

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

/** A chain that all forwarded packets pass. */
export interface ForwardChain {
  /** Its table as nft names it: `ip filter`. */
  readonly table: string;
  readonly name: string;
  /** What becomes of a packet that no rule of it decides on. */
  readonly policy: 'accept' | 'drop';
}

/** Of whatever program. @throws ConfigError, NetError with what `nft` said */
export async function forwardChains(): Promise<readonly ForwardChain[]> {
  const { code, stdout, stderr } = await run(['-j', 'list', 'chains'], '');
  if (code !== 0) throw failure("cannot list the packet filter's chains", stderr);
  const { nftables = [] } = JSON.parse(stdout) as { nftables?: readonly { chain?: Chain }[] };
  return nftables.flatMap(({ chain }) =>
    chain?.hook === 'forward' && chain.type === 'filter'
      ? {
          table: `${chain.family} ${chain.table}`,
          name: chain.name,
          policy: chain.policy === 'drop' ? 'drop' : 'accept',
        }
      : [],
  );
}

/** As `nft -j` has it; only a base chain has a hook. */
interface Chain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly type?: string;
  readonly hook?: string;
  readonly policy?: string;
}

/** Whether a rule of the table, as `ip filter`, names the interface. @throws ConfigError, NetError */
export async function namesInterface(table: string, device: string): Promise<boolean> {
  const { code, stdout, stderr } = await run(['-s', 'list', 'table', ...table.split(' ')], '');
  if (code !== 0) throw failure(`cannot list the packet filter's table ${table}`, stderr);
  return stdout.includes(`"${device}"`);
}

function failure(what: string, stderr: string): Error {
  const text = `${what}: ${stderr.trim().replaceAll('\n', '; ').slice(0, QUOTED_CHARACTERS)}`;
  if (/Operation not permitted/.test(stderr))
    return new ConfigError(
      `${text}: the program needs CAP_NET_ADMIN (run it as root or by its unit)`,
    );
  return new NetError(text);
}

const run = (args: readonly string[], input: string): Promise<Ended> =>
  runProgram('nft', 'nftables', args, input);
