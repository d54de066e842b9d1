/**
 * Asks running interfaces how they are, over the sockets where wg(8) finds them too.
 *
 *     a name      that one, or the reason why not
 *     no name     every socket of the folder; other implementations' and dead processes' are passed over
 */

import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { ConfigError } from '../base/errors.ts';
import type { InterfaceReport } from '../protocol/localapi/status.ts';
import {
  isWholeAnswer,
  MAX_STATUS_BYTES,
  readStatusAnswer,
  STATUS_REQUEST,
} from '../protocol/localapi/status.ts';

const PATIENCE_MILLIS = 10_000;
/** An answer ends so; what comes before is looked at only then. */
const END = '\n\n';

/**
 * By name; empty where no interface of ours runs.
 *
 * @throws ConfigError where the one that is named does not run, does not answer, or is not ours
 */
export async function askStatus(
  folder: string,
  name: string | undefined,
): Promise<readonly InterfaceReport[]> {
  if (name !== undefined) return [await askOne(folder, name)];
  const reports = await Promise.all(socketNames(folder).map((found) => askAny(folder, found)));
  return reports.filter((report) => report !== undefined);
}

async function askOne(folder: string, name: string): Promise<InterfaceReport> {
  let text: string;
  try {
    text = await converse(`${folder}/${name}.sock`);
  } catch (error) {
    throw unanswered(name, error as NodeJS.ErrnoException);
  }
  const report = readStatusAnswer(text);
  if (report !== undefined) return report;
  throw new ConfigError(`${name} belongs to another WireGuard; ask it with: wg show ${name}`);
}

/** What cannot be asked for want of a right is said, since else it would look as if nothing ran. */
async function askAny(folder: string, name: string): Promise<InterfaceReport | undefined> {
  try {
    return readStatusAnswer(await converse(`${folder}/${name}.sock`));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') return undefined;
    throw unanswered(name, error as NodeJS.ErrnoException);
  }
}

function unanswered(name: string, error: NodeJS.ErrnoException): ConfigError {
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return new ConfigError(
        `no interface ${name} is running here; start it: postern wireguard ${name}`,
        { cause: error },
      );
    case 'EACCES':
      return new ConfigError(`only root may ask ${name}; run this as root`, { cause: error });
    default:
      return new ConfigError(`${name} does not answer: ${error.message}; see its log`, {
        cause: error,
      });
  }
}

function socketNames(folder: string): string[] {
  try {
    const files = readdirSync(folder).filter((file) => file.endsWith('.sock'));
    return files.map((file) => file.slice(0, -'.sock'.length)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new ConfigError(`cannot look into ${folder}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** The whole answer of one socket, or what there was of it when the other side hung up. */
function converse(path: string): Promise<string> {
  return new Promise((done, fail) => {
    let text = '';
    const socket = connect(path, () => socket.write(STATUS_REQUEST));
    socket.setEncoding('utf8');
    socket.setTimeout(PATIENCE_MILLIS, () =>
      socket.destroy(new Error(`nothing came for ${PATIENCE_MILLIS / 1000} s`)),
    );
    socket.on('data', (part: string) => {
      text += part;
      if (text.length > MAX_STATUS_BYTES) socket.destroy(new Error('its answer has no end'));
      else if (part.endsWith(END) && isWholeAnswer(text)) socket.end();
    });
    socket.on('error', fail);
    socket.on('close', () => done(text));
  });
}
