/**
 * `npm run demo [-- --keep]`: plain ssh from a laptop in a café to a camera at home that runs nothing of ours.
 *
 *     network -> cam, server -> laptop and box join -> cam is shared -> ssh, scp -> figures
 *       -> proof of secrecy -> demo: ok
 *
 * Every line that looks like a command has been run, every line that looks like a program's output is one. All
 * of it happens in network namespaces of the demo's own (demo/network.ts), on machines with files of their own
 * (demo/machine.ts) in .cache/demo. Both are gone at the end, however it comes; what a kill leaves, the next
 * run removes.
 *
 * `--keep` leaves everything up until Ctrl-C and says how to get in.
 */

import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { until } from '../test/netns/child.ts';
import { Lab } from '../test/netns/lab.ts';
import { CACHE, PEERS_BIN, setUp, unpackPackages } from './debian.ts';
import type { Cam } from './demo/cam.ts';
import { CAM_NAME, makeKey, publicKey, sendInClear, startCam } from './demo/cam.ts';
import type { Machine } from './demo/machine.ts';
import type { Mesh } from './demo/mesh.ts';
import { clientVersion, startMesh, URL } from './demo/mesh.ts';
import type { Network } from './demo/network.ts';
import { BOX_LAN, CAM_LAN, makeNetwork, withHomeOpen } from './demo/network.ts';
import { onlook } from './demo/onlooker.ts';
import { bad, command, fact, good, part, plain, printed } from './demo/screen.ts';
import { kernelsWasm } from './kernels.ts';

const FOLDERS = join(CACHE, 'demo');
const KEY = 'id_ed25519';
const PEERS = ['tailscale', 'tailscaled'] as const;
const FILM_BYTES = 8_000_000;
const IPERF_SECONDS = 3;
const SHOWN_MS = 30_000;
const KNOWN_MS = 10_000;

/** What is being done, for the line that names a failure. */
let doing = 'setting up';

/** The whole demo, in the order in which it is told. */
async function demo(lab: Lab, folder: string, keep: boolean): Promise<void> {
  part('A camera at home, and plain ssh from a café');
  plain(PICTURE);

  doing = 'making the network';
  const network = await makeNetwork(lab);
  doing = 'starting server, laptop, box and cam';
  const [cam, mesh] = await Promise.all([putUpCam(network, folder), putUpMesh(network, folder)]);
  giveKeys(mesh.laptop, folder, cam.hostKey);

  await joinMesh(mesh);
  await shareCam(mesh);
  await showSsh(mesh);
  await showFigures(mesh);
  await showSecrecy(network, mesh, cam, folder);
  good('demo: ok');
  if (keep) await keepUp(lab, mesh);
}

const PICTURE = `
  laptop ---- café ---- internet ---- home --+-- box  ${BOX_LAN}   Postern
  (Tailscale) (NAT)         |         (NAT)  +-- cam  ${CAM_LAN}   a stock sshd, nothing of ours
                         server
                         (Postern: coordination, relay, STUN)
`;

async function putUpCam({ laptop, cam: host }: Network, folder: string): Promise<Cam> {
  const key = join(folder, KEY);
  await makeKey(key);
  const cam = await startCam(host, await unpackPackages(), join(folder, 'cam'), publicKey(key));
  fact('cam', `${cam.version}, not installed, run from its package`);
  const ping = await laptop.run(['ping', '-c', '1', '-W', '1', CAM_LAN], { check: false });
  if (ping.code === 0) throw new Error(`laptop reaches cam without a mesh\n${ping.stdout}`);
  fact('laptop', 'cannot reach cam: two routers and no forwarded port are in the way');
  return cam;
}

async function putUpMesh(network: Network, folder: string): Promise<Mesh> {
  const mesh = await startMesh(network, folder);
  fact('server', `postern control, at ${URL}`);
  fact('laptop', `tailscaled ${await clientVersion(mesh.laptop)}, as its maker has it`);
  fact('box', 'postern node');
  return mesh;
}

/** The laptop's own key, and that of cam, so that ssh asks nothing and believes nobody else. */
function giveKeys(laptop: Machine, folder: string, hostKey: string): void {
  const home = laptop.path('run/root/.ssh');
  mkdirSync(home, { mode: 0o700 });
  renameSync(join(folder, KEY), join(home, KEY));
  writeFileSync(join(home, 'known_hosts'), `${CAM_NAME} ${hostKey}\n`);
}

async function joinMesh({ server, laptop, box }: Mesh): Promise<void> {
  part('Joining, and finding each other');
  await show(server, ['postern', 'users', 'create', 'alice']);
  const key = await show(server, ['postern', 'keys', 'create', '--user', 'alice', '--reusable']);
  // A file, since what stands on a command line is for everybody to see.
  for (const machine of [laptop, box])
    writeFileSync(machine.path('run/root/alice.key'), key, { mode: 0o600 });
  const words = [`--login-server=${URL}`, '--auth-key=file:alice.key'];
  await show(laptop, ['tailscale', 'up', ...words]);
  await show(box, ['postern', 'up', ...words]);
  doing = 'waiting until laptop knows box';
  await until(doing, () => isKnown(laptop, 'box'), KNOWN_MS);
  // It exits with 0 only where the last answer came by a direct path.
  await show(laptop, ['tailscale', 'ping', 'box']);
}

async function shareCam({ laptop, box }: Mesh): Promise<void> {
  part('Sharing cam, which knows nothing of it');
  await show(box, ['postern', 'lan', 'add', CAM_NAME, CAM_LAN]);
  await show(box, ['postern', 'lan', 'share', CAM_NAME]);
  doing = `waiting until laptop knows ${CAM_NAME}`;
  await until(doing, () => isKnown(laptop, CAM_NAME), KNOWN_MS);
  await show(box, ['postern', 'lan', 'list']);
}

async function showSsh({ laptop }: Mesh): Promise<void> {
  part('Plain ssh, end to end');
  const said = await show(laptop, ['ssh', `pi@${CAM_NAME}`, 'hostname']);
  if (said.trim() !== CAM_NAME) throw new Error(`expected ${CAM_NAME}, found ${said}`);

  const bytes = randomBytes(FILM_BYTES);
  const wanted = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(laptop.path('run/root/film.bin'), bytes);
  const started = performance.now();
  await show(laptop, ['scp', 'film.bin', `pi@${CAM_NAME}:`]);
  const seconds = (performance.now() - started) / 1000;
  printed(`${FILM_BYTES / 1e6} MB in ${seconds.toFixed(1)} s`);
  const there = await show(laptop, ['ssh', `pi@${CAM_NAME}`, 'sha256sum', 'film.bin']);
  if (!there.startsWith(wanted)) throw new Error(`sent ${wanted}, arrived ${there}`);
  printed('the same as what was sent');
}

async function showFigures({ laptop, box }: Mesh): Promise<void> {
  part('How fast, and how it is');
  await show(laptop, ['ping', '-c', '5', '-i', '0.2', CAM_NAME]);
  doing = 'starting iperf3 on box';
  const server = box.start('iperf3', ['iperf3', '-s', '-1', '--forceflush']);
  await server.says(/listening/);
  await show(laptop, ['iperf3', '-c', 'box', '-t', String(IPERF_SECONDS)]);
  await show(box, ['postern', 'status']);
}

async function showSecrecy(
  network: Network,
  { laptop }: Mesh,
  cam: Cam,
  folder: string,
): Promise<void> {
  part('Who reads along on the internet?');
  plain('  For the part without a mesh, and for that alone, the home router lets everybody in.');
  const look = async (state: 'off' | 'on', to: string): Promise<void> => {
    doing = `looking for a secret with the mesh ${state}`;
    const secret = `the password is ${randomBytes(6).toString('hex')}`;
    const sight = await onlook(
      network.onlooker,
      join(folder, `${state}.pcap`),
      secret,
      async () => {
        await sendInClear(laptop, to, secret);
        await cam.listener.says(new RegExp(secret));
      },
    );
    plain('');
    fact(`mesh ${state}`, `laptop -> ${to}: "${secret}"; it arrived`);
    fact('', `tcpdump saw ${sight.packets} packets, the password in ${sight.found} of them`);
    if (sight.packets === 0) throw new Error('tcpdump saw nothing at all');
    if (sight.found > 0 !== (state === 'off')) throw new Error(`found with the mesh ${state}`);
  };
  await show(laptop, ['tailscale', 'down']);
  await withHomeOpen(network, () => look('off', CAM_LAN));
  await show(laptop, ['tailscale', 'up']);
  await until('laptop knows cam again', () => isKnown(laptop, CAM_NAME), KNOWN_MS);
  await look('on', CAM_NAME);
}

async function isKnown(machine: Machine, name: string): Promise<boolean> {
  return (await machine.run(['getent', 'ahostsv4', name], { check: false })).code === 0;
}

/** Shows a command, runs it and shows what it prints. */
async function show(machine: Machine, argv: readonly string[]): Promise<string> {
  doing = `${machine.name}$ ${argv.join(' ')}`;
  command(machine.name, argv.join(' '));
  const { stdout, stderr } = await machine.run(argv, { timeoutMs: SHOWN_MS });
  if (stdout + stderr !== '') printed(stdout + stderr);
  return stdout;
}

/** Until Ctrl-C, which ends the whole program. */
async function keepUp(lab: Lab, { daemons }: Mesh): Promise<void> {
  part('All of it stays up until Ctrl-C. To look around, in another terminal and as root:');
  const pids = new Map([...daemons].map(([{ host }, { pid }]) => [host, pid]));
  for (const host of lab.hosts) {
    const pid = pids.get(host);
    const enter =
      pid === undefined ? `ip netns exec ${host.namespace}` : `nsenter -t ${pid} -m -n -u`;
    fact(host.name, `${enter} bash`);
  }
  plain('\n  On the laptop, try: ssh pi@cam');
  const forever = setInterval(() => {}, 2 ** 30);
  await new Promise<never>(() => forever);
}

/** What a killed run has left: folders named by the pid of their run. */
function sweep(): void {
  for (const pid of existsSync(FOLDERS) ? readdirSync(FOLDERS) : [])
    if (!existsSync(`/proc/${pid}`)) rmSync(join(FOLDERS, pid), { recursive: true, force: true });
}

function cannotRun(): string | undefined {
  if (process.getuid?.() !== 0)
    return 'demo: needs root, for network namespaces (try: sudo npm run demo)';
  if (!existsSync('/dev/net/tun')) return 'demo: there is no /dev/net/tun on this machine';
  return undefined;
}

/** Everything that has to be there; a second run finds it so. */
async function prepare(): Promise<void> {
  if (!PEERS.every((name) => existsSync(join(PEERS_BIN, name))))
    plain('demo: building the stock Tailscale client from its source; once, it takes minutes');
  await setUp(PEERS);
  await kernelsWasm();
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
  const reason = cannotRun();
  if (reason !== undefined) {
    console.error(reason);
    return 1;
  }
  // Before the lab's own: `exit` lets everybody clean up, also those who know nothing of signals.
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)
    process.once(signal, () => process.exit(code));

  let lab: Lab | undefined;
  try {
    await prepare();
    lab = await Lab.create('demo');
    // Only now has the lab ended the processes that write there, of killed runs, and so at the exit.
    sweep();
    const folder = join(FOLDERS, String(process.pid));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    mkdirSync(folder, { recursive: true, mode: 0o700 });
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
