/**
 * The whole program, run as a process, with an interface that only remembers in the place of the tunnel. Its
 * "device" is the file FAKE_DEVICE: it makes it, writes into it what network is set, ends when somebody deletes
 * it, and removes it at the end.
 */

import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { x25519 } from '@noble/curves/ed25519.js';
import { ConfigError } from '../../../src/base/errors.ts';
import { nodePublic } from '../../../src/base/keys.ts';
import { formatPrefix } from '../../../src/base/prefix.ts';
import { millis } from '../../../src/base/time.ts';
import type { Joined } from '../../../src/run-main.ts';
import { runMain } from '../../../src/run-main.ts';
import { runWireguard } from '../../../src/wireguard.ts';
import { FakeInterface, fakeReport } from '../uapi/fake-interface.ts';

const device = process.env['FAKE_DEVICE'] as string;

const fake = (): Joined => ({
  now: () => millis(performance.now()),
  run: runWireguard,
  start: async (setup) => {
    if (process.env['FAKE_FAILURE'] === 'config')
      throw new ConfigError(`interface ${setup.name} exists; remove it: ip link del ${setup.name}`);
    if (process.env['FAKE_FAILURE'] === 'crash') process.exit(77);
    await setup.timestampBound.write('400000006a0000000000000a');
    writeFileSync(device, `${process.pid} ${setup.mtuBytes}`);
    const target = new FakeInterface();
    let timer: NodeJS.Timeout | undefined;
    const gone = new Promise<void>((done) => {
      timer = setInterval(() => existsSync(device) || done(), 5);
    });
    return {
      target,
      report: async () => fakeReport(setup.name),
      setNetwork: async ({ mtuBytes, addresses, routes }) => {
        const prefixes = [...addresses, ...routes.map(({ prefix }) => prefix)].map(formatPrefix);
        writeFileSync(device, `${process.pid} ${[mtuBytes, ...prefixes].join(' ')}`);
      },
      publicKeyOf: (key) => nodePublic(x25519.getPublicKey(key.expose())),
      releaseMemory: () => {},
      gone,
      close: async () => {
        clearInterval(timer);
        rmSync(device, { force: true });
      },
    };
  },
});

runMain({
  wireguard: async () => ({ join: fake }),
  control: () => Promise.reject(new Error('no server is started here')),
  node: () => Promise.reject(new Error('no node is started here')),
});
