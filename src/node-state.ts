/** The node's few files, each through the one safe-write module. */

import { fromHex, toHex } from './base/bytes.ts';
import { KEY_BYTES } from './base/keys.ts';
import type { Log } from './base/log.ts';
import type { Devices } from './node/lan/devices.ts';
import { DEVICES_VERSION, readDevices } from './node/lan/devices.ts';
import type { Prefs } from './node/session/prefs.ts';
import { PREFS_VERSION, readPrefs } from './node/session/prefs.ts';
import { TIMESTAMP_BYTES } from './protocol/wireguard/messages.ts';
import type { FilePort } from './store/safe-file.ts';
import { disk, SafeFile } from './store/safe-file.ts';

const BOUND_VERSION = 1;
const DISCO_VERSION = 1;

export interface NodeState {
  readonly files: FilePort;
  readonly timestampBound: SafeFile<string>;
  readonly devices: SafeFile<Devices>;
  /** Private disco key of the last start, 32 bytes in hexadecimal. */
  readonly disco: SafeFile<string>;
  /** The server that the settings name; empty: none. */
  readonly controlUrl: string;
}

export async function openState(
  folder: string,
  interfaceName: string,
  log: Log,
): Promise<NodeState> {
  const timestampBound = await SafeFile.open<string>({
    path: `${folder}/wireguard/${interfaceName}`,
    version: BOUND_VERSION,
    read: (body, version) => readHex(body, version, BOUND_VERSION, TIMESTAMP_BYTES),
    files: disk,
  });
  const devices = await SafeFile.open<Devices>({
    path: `${folder}/lan-devices`,
    version: DEVICES_VERSION,
    read: readDevices,
    files: disk,
  });
  const disco = await SafeFile.open<string>({
    path: `${folder}/disco`,
    version: DISCO_VERSION,
    read: (body, version) => readHex(body, version, DISCO_VERSION, KEY_BYTES),
    files: disk,
  });
  // The session's own file; it writes it, and says what is wrong with it.
  const prefs = await SafeFile.open<Prefs>({
    path: `${folder}/prefs`,
    version: PREFS_VERSION,
    read: readPrefs,
    files: disk,
  });
  for (const { problems } of [timestampBound, devices, disco])
    for (const problem of problems) log.warn(problem);
  const controlUrl = prefs.value?.controlUrl ?? '';
  return { files: disk, timestampBound, devices, disco, controlUrl };
}

function readHex(body: unknown, version: number, known: number, lengthBytes: number): string {
  if (version !== known) throw new Error(`version ${version} is not known here`);
  if (typeof body !== 'string' || fromHex(body, lengthBytes) === undefined)
    throw new Error(`it does not hold ${lengthBytes} bytes`);
  return body;
}

/**
 * The private disco key for this start. A fresh one tells peers that we run anew; but who cannot reach the server
 * cannot tell it to anybody, and is found by the key that others have of the last start.
 */
export function discoSecret(
  { disco }: Pick<NodeState, 'disco'>,
  reached: boolean,
  random: (lengthBytes: number) => Uint8Array,
): Uint8Array {
  const kept = fromHex(disco.value ?? '', KEY_BYTES);
  return !reached && kept !== undefined ? kept : random(KEY_BYTES);
}

/** For the next start. Only whoever has locked the folder may: the key there is that of the node that runs. */
export async function keepDisco(
  { disco }: Pick<NodeState, 'disco'>,
  secret: Uint8Array,
  log: Log,
): Promise<void> {
  if (disco.value === toHex(secret)) return;
  await disco.write(toHex(secret)).catch((error: Error) => {
    log.warn('node: the disco key is not kept', { reason: error.message });
  });
}
