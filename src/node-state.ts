/** The node's few files, each through the one safe-write module. */

import { fromHex } from './base/bytes.ts';
import type { Log } from './base/log.ts';
import type { Devices } from './node/lan/devices.ts';
import { DEVICES_VERSION, readDevices } from './node/lan/devices.ts';
import { TIMESTAMP_BYTES } from './protocol/wireguard/messages.ts';
import type { FilePort } from './store/safe-file.ts';
import { disk, SafeFile } from './store/safe-file.ts';

const BOUND_VERSION = 1;

export interface NodeState {
  readonly files: FilePort;
  readonly timestampBound: SafeFile<string>;
  readonly devices: SafeFile<Devices>;
}

export async function openState(
  folder: string,
  interfaceName: string,
  log: Log,
): Promise<NodeState> {
  const timestampBound = await SafeFile.open<string>({
    path: `${folder}/wireguard/${interfaceName}`,
    version: BOUND_VERSION,
    read: readBound,
    files: disk,
  });
  const devices = await SafeFile.open<Devices>({
    path: `${folder}/lan-devices`,
    version: DEVICES_VERSION,
    read: readDevices,
    files: disk,
  });
  for (const problem of [...timestampBound.problems, ...devices.problems]) log.warn(problem);
  return { files: disk, timestampBound, devices };
}

function readBound(body: unknown, version: number): string {
  if (version !== BOUND_VERSION) throw new Error(`version ${version} is not known here`);
  if (typeof body !== 'string' || fromHex(body, TIMESTAMP_BYTES) === undefined)
    throw new Error('it holds no time stamp');
  return body;
}
