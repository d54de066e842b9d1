/**
 * A stock sshd on a host and a stock ssh on another: sessions that print one numbered line after the other, so
 * that a line which is lost shows.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { unpackPackages } from '../../../scripts/debian.ts';
import { makeKey, publicKey, startCam } from '../../../scripts/demo/cam.ts';
import type { Child } from '../../netns/child.ts';
import type { Host } from '../../netns/lab.ts';
import type { Network } from '../control/network.ts';

const CALM = [
  ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
  ...['-o', 'BatchMode=yes', '-o', 'ConnectTimeout=10', '-o', 'LogLevel=ERROR'],
];

export class Ssh {
  readonly #key: string;

  private constructor(key: string) {
    this.#key = key;
  }

  /** An sshd on `host`, which lets in the sessions made here as `pi`. */
  static async serve(network: Network, host: Host): Promise<Ssh> {
    const folder = join(network.folder, `ssh-${host.name}`);
    mkdirSync(folder, { recursive: true });
    const key = join(folder, 'key');
    await makeKey(key);
    await startCam(host, await unpackPackages(), join(folder, 'server'), publicKey(key));
    return new Ssh(key);
  }

  /** What a command says there; its error where it fails. */
  async say(from: Host, to: string, command: string): Promise<string> {
    const { stdout, stderr, code } = await from.run(this.#words(to, command), { check: false });
    return code === 0 ? stdout.trim() : `${code}: ${stderr.trim()}`;
  }

  /** Lines `1`, `2` and so on, ten a second, to the end of the session. */
  lines(from: Host, to: string): Child {
    const count = 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done';
    return from.start(this.#words(to, count), { name: 'ssh' });
  }

  #words(to: string, command: string): readonly string[] {
    return ['ssh', '-F', 'none', '-i', this.#key, ...CALM, `pi@${to}`, command];
  }
}

/** Of a session of `lines`: how many came, one after the other; 0 where one is missing or out of order. */
export function unbrokenLines({ output }: Child): number {
  const lines = output.trimEnd().split('\n').map(Number);
  return lines.every((line, i) => line === i + 1) ? lines.length : 0;
}
