/**
 * `npm run demo [-- --keep]`: plain ssh from a laptop in a café to a camera at home that runs nothing of ours.
 *
 *     network -> cam -> tunnel -> ssh, scp, wg, ping, iperf3 -> proof of secrecy -> demo: ok
 *
 * Every line that looks like a program's output is one. All of it happens in network namespaces of the
 * demo's own (demo/network.ts); files lie in .cache/demo and, because `ip netns exec` wants it so, the names
 * that the laptop knows in /etc/netns. Both are gone at the end, however it comes; what a kill leaves, the
 * next run removes.
 *
 * `--keep` leaves everything up until Ctrl-C and says how to get in.
 */

import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Tunnel } from '../test/netns/implementations.ts';
import { UNDER_TEST } from '../test/netns/implementations.ts';
import type { Host } from '../test/netns/lab.ts';
import { Lab } from '../test/netns/lab.ts';
import { CACHE, installPackages, setUp, unpackPackages } from './debian.ts';
import type { Cam } from './demo/cam.ts';
import { CAM_NAME, makeKey, publicKey, sendInClear, startCam } from './demo/cam.ts';
import { giveNames, removeNames } from './demo/laptop.ts';
import type { Network } from './demo/network.ts';
import {
  BOX_LAN,
  BOX_TUNNEL,
  CAM_LAN,
  HOME_LAN,
  makeNetwork,
  withHomeOpen,
} from './demo/network.ts';
import { onlook } from './demo/onlooker.ts';
import { bad, command, fact, good, part, plain, printed } from './demo/screen.ts';
import { putUpTunnel } from './demo/tunnel.ts';
import { kernelsWasm } from './kernels.ts';

const FOLDERS = join(CACHE, 'demo');
const FILM_BYTES = 8_000_000;
const IPERF_SECONDS = 3;

/** What is being done, for the line that names a failure. */
let doing = 'setting up';

/** The whole demo, in the order in which it is told. */
async function demo(lab: Lab, folder: string, keep: boolean): Promise<void> {
  part('A camera at home, and plain ssh from a café');
  plain(PICTURE);

  doing = 'making the network';
  const network = await makeNetwork(lab);
  const { laptop, box } = network;
  const cam = await putUpCam(network, folder);
  doing = 'putting up the tunnel';
  const tunnel = await putUpTunnel(network, folder);

  await showSsh(laptop, folder);
  await showTunnel(laptop, box, tunnel);
  await showSecrecy(network, cam, tunnel, folder);
  good('demo: ok');
  if (keep) await keepUp(lab);
}

const PICTURE = `
  laptop ---- café ---- internet ---- home --+-- box  ${BOX_LAN}   Postern
              (NAT)                  (NAT)   +-- cam  ${CAM_LAN}   a stock sshd, nothing of ours
`;

async function putUpCam(network: Network, folder: string): Promise<Cam> {
  doing = 'starting cam';
  const { laptop, cam: host } = network;
  const key = join(folder, 'id_ed25519');
  await makeKey(key);
  const cam = await startCam(host, await unpackPackages(), join(folder, 'cam'), publicKey(key));
  fact('cam', `${cam.version}, not installed, run from its package`);
  giveNames(laptop, folder, key, cam.hostKey);

  doing = 'making sure that cam cannot be reached without a tunnel';
  const ping = await laptop.run(['ping', '-c', '1', '-W', '1', CAM_LAN], { check: false });
  if (ping.code === 0) throw new Error(`it can\n${ping.stdout}`);
  fact('laptop', 'cannot reach cam: two routers and no forwarded port are in the way');
  return cam;
}

async function showSsh(laptop: Host, folder: string): Promise<void> {
  part('Plain ssh, end to end');
  const said = await show(laptop, ['ssh', `pi@${CAM_NAME}`, 'hostname']);
  if (said.trim() !== CAM_NAME) throw new Error(`expected ${CAM_NAME}, found ${said}`);

  const film = join(folder, 'film.bin');
  const bytes = randomBytes(FILM_BYTES);
  writeFileSync(film, bytes);
  const started = performance.now();
  await show(laptop, ['scp', film, `pi@${CAM_NAME}:film.bin`]);
  const seconds = (performance.now() - started) / 1000;
  printed(`${FILM_BYTES / 1e6} MB in ${seconds.toFixed(1)} s`);
  const there = await show(laptop, ['ssh', `pi@${CAM_NAME}`, 'sha256sum', 'film.bin']);
  const wanted = createHash('sha256').update(bytes).digest('hex');
  if (!there.startsWith(wanted)) throw new Error(`sent ${wanted}, arrived ${there}`);
  printed('the same as what was sent');
}

async function showTunnel(laptop: Host, box: Host, tunnel: Tunnel): Promise<void> {
  part('The tunnel');
  await show(laptop, ['wg', 'show', tunnel.interface]);
  await show(laptop, ['ping', '-c', '5', '-i', '0.2', CAM_NAME]);
  doing = 'starting iperf3 on box';
  const server = box.start(['iperf3', '-s', '-1', '-B', BOX_TUNNEL, '--forceflush']);
  await server.says(/listening/);
  await show(laptop, ['iperf3', '-c', 'box', '-t', String(IPERF_SECONDS)]);
}

async function showSecrecy(
  network: Network,
  cam: Cam,
  tunnel: Tunnel,
  folder: string,
): Promise<void> {
  part('Who reads along on the internet?');
  plain(
    '  For the part without a tunnel, and for that alone, the home router lets everybody in.\n',
  );
  doing = 'proving that the tunnel keeps a secret';
  const { laptop, onlooker } = network;
  const look = async (state: string): Promise<void> => {
    const secret = `the password is ${randomBytes(6).toString('hex')}`;
    const sight = await onlook(onlooker, join(folder, `${state}.pcap`), secret, async () => {
      await sendInClear(laptop, CAM_LAN, secret);
      await cam.listener.says(new RegExp(secret));
    });
    fact(`tunnel ${state}`, `laptop -> cam: "${secret}"; it arrived`);
    fact('', `tcpdump saw ${sight.packets} packets, the password in ${sight.found} of them`);
    if (sight.packets === 0) throw new Error('tcpdump saw nothing at all');
    if (sight.found > 0 !== (state === 'off')) throw new Error(`found with the tunnel ${state}`);
  };
  // Without its route the laptop sends to cam as to anybody: by way of the café's router.
  const route = `${HOME_LAN} dev ${tunnel.interface}`;
  await laptop.ip(`route del ${route}`);
  await withHomeOpen(network, () => look('off'));
  await laptop.ip(`route add ${route}`);
  await look('on');
}

/** Shows a command, runs it on the laptop and shows what it prints. */
async function show(laptop: Host, argv: readonly string[]): Promise<string> {
  doing = argv.join(' ');
  command('laptop', doing);
  const { stdout, stderr } = await laptop.run(argv, { timeoutMs: 30_000 });
  if (stdout + stderr !== '') printed(stdout + stderr);
  return stdout;
}

/** Until Ctrl-C, which ends the whole program. */
async function keepUp(lab: Lab): Promise<void> {
  part('All of it stays up until Ctrl-C. To look around, in another terminal and as root:');
  for (const { name, namespace } of lab.hosts) fact(name, `ip netns exec ${namespace} bash`);
  plain('\n  On the laptop, try: ssh pi@cam');
  const forever = setInterval(() => {}, 2 ** 30);
  await new Promise<never>(() => forever);
}

/** What a killed run has left: folders named by the pid of their run. */
function sweep(): void {
  const isGone = (pid: string): boolean => !existsSync(`/proc/${pid}`);
  for (const pid of existsSync(FOLDERS) ? readdirSync(FOLDERS) : [])
    if (isGone(pid)) rmSync(join(FOLDERS, pid), { recursive: true, force: true });
  removeNames((namespace) => {
    const pid = /^postern-(\d+)-\d+-demo-/.exec(namespace)?.[1];
    return pid !== undefined && isGone(pid);
  });
}

function cannotRun(): string | undefined {
  if (process.getuid?.() !== 0)
    return 'demo: needs root, for network namespaces (try: sudo npm run demo)';
  if (!existsSync('/dev/net/tun')) return 'demo: there is no /dev/net/tun on this machine';
  return undefined;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
  const reason = cannotRun();
  if (reason !== undefined) {
    console.error(reason);
    return 1;
  }
  sweep();
  const folder = join(FOLDERS, String(process.pid));
  process.on('exit', () => {
    rmSync(folder, { recursive: true, force: true });
    removeNames((namespace) => namespace.startsWith(`postern-${process.pid}-`));
  });
  // Before the lab's own: `exit` lets everybody clean up, also those who know nothing of signals.
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)
    process.once(signal, () => process.exit(code));

  let lab: Lab | undefined;
  try {
    // Stock peers take minutes to build, and ours needs none.
    if (UNDER_TEST === 'current') await setUp(['wireguard']);
    else await installPackages();
    if (UNDER_TEST === 'ours') await kernelsWasm();
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    lab = await Lab.create('demo');
    await demo(lab, folder, values.keep);
    return 0;
  } catch (error) {
    // The reason comes last, where a person looks first.
    const report = (await lab?.report()) ?? '';
    if (report !== '') printed(`\n${report}`);
    bad(`demo: failed: ${doing}`);
    printed(error instanceof Error ? error.message : String(error));
    return 1;
  } finally {
    await lab?.close();
  }
}

process.exitCode = await main();
