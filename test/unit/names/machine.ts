/** The files of a system in a folder of their own, for tests of who writes resolv.conf. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { parseIp } from '../../../src/base/ip.ts';
import { nodeSystem } from '../../../src/node/names/node-system.ts';
import { PlainFile } from '../../../src/node/names/plain-file.ts';
import type { SystemPaths, SystemPort } from '../../../src/node/names/ports.ts';
import type { SystemSetting } from '../../../src/node/names/system-resolver.ts';
import { must } from '../../must.ts';

export const US: readonly Uint8Array[] = [
  must(parseIp('100.100.100.100')),
  must(parseIp('fd7a:115c:a1e0::53')),
];
export const WANTED: SystemSetting = {
  addresses: US,
  search: ['mesh.example'],
  domains: ['mesh.example', 'corp.test'],
  everything: false,
};
export const BEFORE = '# by hand\nnameserver 192.0.2.1\nsearch lan\noptions edns0 timeout:1\n';

export interface Machine {
  readonly paths: SystemPaths;
  readonly read: () => string;
  readonly file: (system?: SystemPort) => PlainFile;
}

export function machine(t: Test): Machine {
  const root = mkdtempSync(join(tmpdir(), 'postern-system-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  for (const folder of ['etc', 'run', 'run/resolve', 'run/records']) mkdirSync(join(root, folder));
  const paths = {
    resolvConf: join(root, 'etc/resolv.conf'),
    runFolder: join(root, 'run/postern'),
    resolvedUplinks: join(root, 'run/resolve/resolv.conf'),
    resolvconfRecords: join(root, 'run/records'),
  };
  return {
    paths,
    read: () => readFileSync(paths.resolvConf, 'utf8'),
    file: (system = nodeSystem) =>
      new PlainFile({ system, paths, interfaceIndex: () => 7, addresses: US }),
  };
}
