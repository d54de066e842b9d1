import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import t from 'tap';
import { unpackPackages } from '../../scripts/debian.ts';
import * as abi from '../../src/linux/abi.ts';
import { RUN } from '../../src/linux/call-list.ts';
import type { Instructions } from '../../src/linux/machine-code.ts';
import { READ } from '../../src/linux/reads.ts';

const { STRUCT, CMSG_ALIGN, NETLINK_ALIGN, ...TABLES } = abi;

const HEADERS = [
  'errno.h',
  'fcntl.h',
  'poll.h',
  'stddef.h',
  'time.h',
  'sys/ioctl.h',
  'sys/mman.h',
  'sys/socket.h',
  'sys/timex.h',
  'sys/un.h',
  'netinet/in.h',
  'netinet/tcp.h',
  'netinet/udp.h',
  'net/if.h',
  'linux/if_tun.h',
  'linux/virtio_net.h',
  'linux/netlink.h',
  'linux/rtnetlink.h',
  'linux/netfilter/nfnetlink.h',
  'linux/netfilter/nf_tables.h',
];

/** Younger than the headers of Debian 12; any other name must be known to the compiler. */
const MAY_BE_UNKNOWN = ['TUN_F_USO4', 'TUN_F_USO6'];
const UNKNOWN = -2;

/** Each number of abi.ts as C writes it. */
const EXPRESSIONS: readonly (readonly [expression: string, value: number])[] = [
  ...Object.values(TABLES).flatMap((table) => Object.entries(table as Record<string, number>)),
  ...Object.entries(STRUCT).flatMap(([name, { bytes, ...fields }]) => [
    [`sizeof(struct ${name})`, bytes] as const,
    ...Object.entries(fields as Record<string, number>).map(
      ([field, offset]) => [`offsetof(struct ${name}, ${field})`, offset] as const,
    ),
  ]),
  ['CMSG_ALIGN(1)', CMSG_ALIGN],
  ['NLMSG_ALIGN(1)', NETLINK_ALIGN],
];

for (const [machine, compiler] of [
  [process.arch, 'gcc'],
  ['arm64', 'aarch64-linux-gnu-gcc'],
] as const) {
  const title = `abi: every number is what ${compiler} finds in the headers of ${machine}`;
  t.test(title, { timeout: 300_000 }, async (t) => {
    const found = judge(compiler, machine === 'arm64' ? await crossEnv() : process.env);
    t.equal(found.length, EXPRESSIONS.length);
    for (const [i, [expression, value]] of EXPRESSIONS.entries()) {
      if (found[i] === UNKNOWN && MAY_BE_UNKNOWN.includes(expression))
        t.comment(`${expression} is not in these headers`);
      else if (found[i] !== value) t.equal(found[i], value, expression);
    }
    t.pass(`${found.length} numbers`);
  });
}

for (const [machine, prefix] of [
  ['x64', process.arch === 'x64' ? '' : undefined],
  ['arm64', process.arch === 'arm64' ? '' : 'aarch64-linux-gnu-'],
] as const)
  t.test(
    `instructions: the bytes are what the assembler makes of the text, ${machine}`,
    { skip: prefix === undefined && 'no assembler for it', timeout: 300_000 },
    async (t) => {
      const env = prefix === '' ? process.env : await crossEnv();
      for (const routine of [RUN, READ]) {
        const wanted = routine[machine] ?? [];
        t.equal(assembled(`${prefix}`, wanted, env), wanted.map(([bytes]) => bytes).join(''));
        t.ok(wanted.length > 0);
      }
    },
  );

/** What the assembler makes of the instructions, in hexadecimal. */
function assembled(prefix: string, instructions: Instructions, env: NodeJS.ProcessEnv): string {
  const folder = mkdtempSync(`${tmpdir()}/postern-abi-`);
  try {
    writeFileSync(`${folder}/run.s`, `${instructions.map(([, text]) => text).join('\n')}\n`);
    for (const [tool, ...argv] of [
      ['as', '-o', `${folder}/run.o`, `${folder}/run.s`],
      ['objcopy', '-O', 'binary', '-j', '.text', `${folder}/run.o`, `${folder}/run.bin`],
    ]) {
      const { status, stderr } = spawnSync(`${prefix}${tool}`, argv, { encoding: 'utf8', env });
      if (status !== 0) throw new Error(`${tool}: ${stderr}`);
    }
    return readFileSync(`${folder}/run.bin`).toString('hex');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The cross compiler is unpacked, not installed. */
async function crossEnv(): Promise<NodeJS.ProcessEnv> {
  const { root, env } = await unpackPackages('arm64');
  return { ...process.env, ...env, PATH: `${root}/usr/bin:${process.env['PATH']}` };
}

/**
 * The value of each expression, read from the assembly that the compiler writes: so it can be of a machine that
 * this one cannot run. Each is kept one greater, since assemblers have a word of their own for zeros.
 */
function judge(compiler: string, env: NodeJS.ProcessEnv): number[] {
  const folder = mkdtempSync(`${tmpdir()}/postern-abi-`);
  try {
    const rows = EXPRESSIONS.map(([expression]) =>
      MAY_BE_UNKNOWN.includes(expression)
        ? `#ifdef ${expression}\n${expression} + 1ll,\n#else\n${UNKNOWN} + 1ll,\n#endif\n`
        : `(long long)(unsigned)(${expression}) + 1ll,\n`,
    );
    const includes = HEADERS.map((header) => `#include <${header}>\n`).join('');
    writeFileSync(
      `${folder}/abi.c`,
      `#define _GNU_SOURCE\n${includes}const long long abi[] = {\n${rows.join('')}};\n`,
    );
    const { status, stderr } = spawnSync(
      compiler,
      ['-S', '-O0', '-o', `${folder}/abi.s`, `${folder}/abi.c`],
      { encoding: 'utf8', env },
    );
    if (status !== 0) throw new Error(`${compiler}: ${stderr}`);
    const assembly = readFileSync(`${folder}/abi.s`, 'utf8');
    return [...assembly.matchAll(/^\s+\.(?:quad|xword)\s+(-?\d+)$/gm)].map((m) => Number(m[1]) - 1);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
