/**
 * What the laptop knows, seen by its own processes alone: names in /etc/hosts, a key and a pinned host key in
 * /etc/ssh/ssh_config. `ip netns exec NAME` lays /etc/netns/NAME over /etc, so the commands of the demo are
 * the ones that a person would type.
 */

import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../../test/netns/lab.ts';
import { CAM_NAME } from './cam.ts';
import { BOX_TUNNEL, CAM_LAN } from './network.ts';

const NETNS = '/etc/netns';

/**
 * The names and keys of the laptop: /etc/hosts and /etc/ssh/ssh_config, as its own processes see them. The
 * host key is known beforehand, so ssh asks nothing and believes nobody else.
 */
export function giveNames(laptop: Host, folder: string, key: string, hostKey: string): void {
  const etc = join(NETNS, laptop.namespace);
  mkdirSync(join(etc, 'ssh'), { recursive: true });
  const known = join(folder, 'known_hosts');
  writeFileSync(known, `${CAM_NAME} ${hostKey}\n`);
  writeFileSync(
    join(etc, 'hosts'),
    `127.0.0.1 localhost\n${CAM_LAN} ${CAM_NAME}\n${BOX_TUNNEL} box\n`,
  );
  writeFileSync(
    join(etc, 'ssh/ssh_config'),
    `Host ${CAM_NAME}
  IdentityFile ${key}
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile ${known}
  StrictHostKeyChecking yes
  BatchMode yes
  ConnectTimeout 10
`,
  );
}

/** Removes what `giveNames` has put into /etc for the namespaces that `which` picks. */
export function removeNames(which: (namespace: string) => boolean): void {
  if (!existsSync(NETNS)) return;
  for (const name of readdirSync(NETNS))
    if (which(name)) rmSync(join(NETNS, name), { recursive: true, force: true });
  // The folder is ours to remove only if nothing of anybody's is left in it.
  if (readdirSync(NETNS).length === 0) rmdirSync(NETNS);
}
