/**
 * The camera: a stock OpenSSH server out of its unpacked Debian package, and one line of clear text on
 * another port, as such devices have.
 *
 * sshd wants a user `sshd`, a folder in /run and helper programs in /usr/lib/openssh. It finds all of them in
 * a mount namespace of its own, where the machine's files are covered and not changed:
 *
 *     /run                            empty, in memory; in it the unpacked tree and the demo's folder
 *     /etc/passwd, group, shadow      root, sshd and pi
 *     /home                           empty, in memory; /home/pi
 *     /usr/lib/openssh                of the unpacked tree, since the parts of sshd must fit each other
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from '../../test/netns/child.ts';
import type { Host } from '../../test/netns/lab.ts';
import type { Unpacked } from '../debian.ts';
import { run } from '../run.ts';

export const CAM_NAME = 'cam';
const CLEAR_PORT = 7777;

const ACCOUNTS: Readonly<Record<string, string>> = {
  passwd: `root:x:0:0:root:/root:/bin/sh
sshd:x:990:65534::/run/sshd:/usr/sbin/nologin
pi:x:1000:1000::/home/pi:/bin/sh
`,
  group: 'root:x:0:\npi:x:1000:\nnogroup:x:65534:\n',
  // No password fits; a key is the only way in. (With "!" sshd would take the account for locked.)
  shadow: 'root:*:20000::::::\nsshd:*:20000::::::\npi:*:20000::::::\n',
};

/** $1 the unpacked tree, $2 the demo's folder, $3 the host's name; then the command line. */
const COVER = `set -e
hostname "$3"
mount -t tmpfs -o mode=755 none /run
mkdir /run/debian /run/demo /run/sshd
mount --bind "$1" /run/debian
mount --bind "$2" /run/demo
for file in passwd group shadow; do mount --bind "/run/demo/$file" "/etc/$file"; done
mount -t tmpfs -o mode=755 none /home
install -d -o 1000 -g 1000 -m 700 /home/pi /home/pi/.ssh
install -o 1000 -g 1000 -m 600 /run/demo/authorized_keys /home/pi/.ssh/authorized_keys
if [ -d /run/debian/usr/lib/openssh ]; then mount --bind /run/debian/usr/lib/openssh /usr/lib/openssh; fi
shift 3
exec "$@"`;

/** Prints each line of clear text that reaches it. */
const LISTENER = `
  const { createServer } = require('node:net');
  createServer((socket) => socket.pipe(process.stdout, { end: false }))
    .listen(${CLEAR_PORT}, '::', () => console.log('ready'));`;

const SENDER = `
  const [address, line] = process.argv.slice(1);
  require('node:net').connect({ host: address, port: ${CLEAR_PORT}, timeout: 3000 })
    .on('timeout', () => process.exit(2))
    .end(line + '\\n');`;

export interface Cam {
  /** For instance `OpenSSH_9.2p1 Debian-2+deb12u7`. */
  readonly version: string;
  /** Its host key as known_hosts has it, without the name. */
  readonly hostKey: string;
  /** What has arrived on its port for clear text. */
  readonly listener: Child;
}

/**
 * Starts it; it accepts connections when this returns.
 *
 * @param folder for its files, empty
 * @param authorizedKey the one public key that may log in as `pi`
 */
export async function startCam(
  host: Host,
  unpacked: Unpacked,
  folder: string,
  authorizedKey: string,
): Promise<Cam> {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(ACCOUNTS)) writeFileSync(join(folder, name), text);
  writeFileSync(join(folder, 'authorized_keys'), authorizedKey);
  await makeKey(join(folder, 'host_key'));

  const libraries = unpacked.env['LD_LIBRARY_PATH']?.replaceAll(unpacked.root, '/run/debian');
  const inside = (...argv: string[]): string[] => [
    ...['unshare', '--mount', '--uts', 'sh', '-c', COVER, 'cam', unpacked.root, folder, CAM_NAME],
    ...['env', `LD_LIBRARY_PATH=${libraries}`, '/run/debian/usr/sbin/sshd', ...argv],
  ];
  const { stderr } = await host.run(inside('-V'));
  const options = ['HostKey=/run/demo/host_key', 'UsePAM=no', 'PidFile=none'];
  const more = ['PasswordAuthentication=no', 'Subsystem=sftp internal-sftp'];
  const flags = [...options, ...more].flatMap((option) => ['-o', option]);
  const sshd = host.start(inside('-D', '-e', '-f', '/dev/null', ...flags), { name: 'sshd' });
  const listener = host.start([process.execPath, '-e', LISTENER], { name: 'clear text' });
  await sshd.says(/listening on 0\.0\.0\.0 port 22/);
  await listener.says(/ready/);
  return {
    version: stderr.split(',')[0]?.trim() ?? 'OpenSSH',
    hostKey: publicKey(join(folder, 'host_key')),
    listener,
  };
}

/** Sends a line in the clear to the camera, by its address or name; it is over when the line has been taken. */
export async function sendInClear(
  from: Pick<Host, 'run'>,
  address: string,
  line: string,
): Promise<void> {
  await from.run([process.execPath, '-e', SENDER, address, line]);
}

/** An Ed25519 key pair of OpenSSH's, in FILE and FILE.pub. */
export async function makeKey(file: string): Promise<void> {
  await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file]);
}

export function publicKey(file: string): string {
  return readFileSync(`${file}.pub`, 'utf8').trim();
}
