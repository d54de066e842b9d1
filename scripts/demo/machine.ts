/**
 * A machine of the demo that has files of its own, so that the commands on it are the ones that a person would
 * type: sockets, names and programs are where they are on any machine, and the real ones are not touched.
 *
 *     FOLDER/etc  over  /etc             names, resolver; whoever manages the resolver writes here
 *     FOLDER/run  over  /run             sockets; nothing inside finds a service of the real machine
 *            /run/root                   root's home
 *     FOLDER/bin  over  /usr/local/bin   postern, tailscale
 *     FOLDER/lib                         state, which daemons are told of
 *
 * Each process gets mount and host name namespaces of its own that look alike, so they go as it goes, and an
 * environment that says nothing of the real machine: no proxies, no agents.
 */

import { chmodSync, cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Child, Result, RunOptions } from '../../test/netns/child.ts';
import type { Host } from '../../test/netns/lab.ts';

/** Of the real /etc: numbers and their names, and where programs and libraries are. */
const COPIED = ['group', 'protocols', 'services', 'os-release', 'ld.so.cache', 'alternatives'];
/** Where Debian has the certificates of authorities. */
export const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

const HOME = '/run/root';
const ACCOUNTS = `root:x:0:0:root:${HOME}:/bin/bash
nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin
`;
const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME,
  LANG: 'C.UTF-8',
};

/** $1 the machine's folder, $2 its name; then the command line. */
const COVER = `set -e
hostname "$2"
mount --bind "$1/etc" /etc
mount --bind "$1/bin" /usr/local/bin
mount --bind "$1/run" /run
cd ${HOME}
shift 2
exec "$@"`;

export interface MachineFiles {
  /** Lines of /etc/hosts beside its own. */
  readonly hosts?: readonly string[];
  /** Command lines by the name of the program that a person types. */
  readonly programs: Readonly<Record<string, readonly string[]>>;
  /** Certificates that it trusts, PEM. */
  readonly trusted: string;
  readonly env?: Readonly<Record<string, string>>;
}

export class Machine {
  readonly host: Host;
  readonly folder: string;
  readonly #env: Readonly<Record<string, string>>;

  /** @param folder for its files, not there yet */
  constructor(host: Host, folder: string, files: MachineFiles) {
    this.host = host;
    this.folder = folder;
    this.#env = { ...ENVIRONMENT, ...files.env };
    for (const name of ['etc', 'run/root', 'bin', 'lib'])
      mkdirSync(join(folder, name), { recursive: true });
    makeEtc(join(folder, 'etc'), ['127.0.0.1 localhost', ...(files.hosts ?? [])]);
    mkdirSync(join(folder, dirname(CERTIFICATES)), { recursive: true });
    writeFileSync(join(folder, CERTIFICATES), files.trusted);
    for (const [name, argv] of Object.entries(files.programs))
      makeProgram(join(folder, 'bin', name), argv);
  }

  get name(): string {
    return this.host.name;
  }

  /** A path below its folder. */
  path(...names: readonly string[]): string {
    return join(this.folder, ...names);
  }

  run(argv: readonly string[], options?: Omit<RunOptions, 'env'>): Promise<Result> {
    return this.host.run(this.#covered(argv), options);
  }

  /** @param name how the report calls it */
  start(name: string, argv: readonly string[]): Child {
    return this.host.start(this.#covered(argv), { name });
  }

  #covered(argv: readonly string[]): string[] {
    const env = Object.entries(this.#env).map(([name, value]) => `${name}=${value}`);
    return [
      ...['unshare', '--mount', '--uts', 'sh', '-c', COVER, 'sh', this.folder, this.name],
      ...['env', '-i', ...env, ...argv],
    ];
  }
}

function makeEtc(folder: string, hosts: readonly string[]): void {
  for (const name of COPIED)
    if (existsSync(join('/etc', name)))
      cpSync(join('/etc', name), join(folder, name), { recursive: true, verbatimSymlinks: true });
  writeFileSync(join(folder, 'passwd'), ACCOUNTS);
  writeFileSync(join(folder, 'hosts'), `${hosts.join('\n')}\n`);
  writeFileSync(join(folder, 'nsswitch.conf'), 'hosts: files dns\n');
  // Nobody answers there: only what the mesh puts in its place does.
  writeFileSync(
    join(folder, 'resolv.conf'),
    'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n',
  );
}

function makeProgram(path: string, argv: readonly string[]): void {
  const [program = ''] = argv;
  if (argv.length === 1) {
    symlinkSync(program, path);
    return;
  }
  const words = argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  writeFileSync(path, `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`);
  chmodSync(path, 0o755);
}
