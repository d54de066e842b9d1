/**
 * The server's own keys, made at the first start and kept for ever: clients know the server by the machine
 * key, and the relay by its node key.
 *
 *     control-keys.json    { "machine": 64 hexadecimal digits, "relay": the same }, mode 0600
 */

import { fromHex, toHex } from '../base/bytes.ts';
import { ConfigError } from '../base/errors.ts';
import { KEY_BYTES } from '../base/keys.ts';
import type { FilePort } from '../store/safe-file.ts';
import { SafeFile } from '../store/safe-file.ts';

const DOCUMENT = 'control-keys.json';
const VERSION = 1;

/** Curve25519 secrets, 32 bytes each. */
export interface ControlIdentity {
  readonly machine: Uint8Array;
  readonly relay: Uint8Array;
}

interface Kept {
  readonly machine: string;
  readonly relay: string;
}

/**
 * @param known whether the network already exists; its keys cannot be made anew then without every client
 *   taking the server for a stranger
 * @throws ConfigError where they are lost, NetError where they cannot be written
 */
export async function controlIdentity(
  folder: string,
  files: FilePort,
  random: (lengthBytes: number) => Uint8Array,
  known: boolean,
): Promise<ControlIdentity> {
  const path = `${folder}/${DOCUMENT}`;
  const file = await SafeFile.open<Kept>({ path, version: VERSION, read: readKept, files });
  if (file.value === undefined) {
    if (known)
      throw new ConfigError(
        `control: ${file.problems[0] ?? `${path} is missing`}, but there is a network, whose clients know the server by it: ` +
          `put it back from a backup; to begin a new network, move ${folder} away`,
      );
    await file.write({ machine: toHex(random(KEY_BYTES)), relay: toHex(random(KEY_BYTES)) });
  }
  const { machine, relay } = file.value as Kept;
  return { machine: bytesOf(machine), relay: bytesOf(relay) };
}

function readKept(body: unknown, version: number): Kept {
  const { machine, relay } = body as Partial<Record<keyof Kept, unknown>>;
  if (version !== VERSION || typeof machine !== 'string' || typeof relay !== 'string')
    throw new Error(`expected keys of version ${VERSION}`);
  bytesOf(machine);
  bytesOf(relay);
  return { machine, relay };
}

function bytesOf(text: string): Uint8Array {
  const bytes = fromHex(text, KEY_BYTES);
  if (bytes === undefined) throw new Error('expected keys of 64 hexadecimal digits');
  return bytes;
}
