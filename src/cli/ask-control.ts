/** Asks the coordination server on its socket; what goes wrong is an error that says what to do. */

import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { ConfigError, DeniedError, NetError } from '../base/errors.ts';
import type { Answers, AskControl } from '../protocol/localapi/control.ts';
import { MAX_ANSWER_BYTES, PATH_PREFIX, readControlError } from '../protocol/localapi/control.ts';

/** A stalled disk may hold an answer back for this long. */
const PATIENCE_MILLIS = 60_000;

interface Reply {
  readonly status: number;
  readonly text: string;
}

export const askControl: AskControl = async (socket, action, request) => {
  let reply: Reply;
  try {
    reply = await converse(socket, `${PATH_PREFIX}${action}`, JSON.stringify(request));
  } catch (error) {
    throw unanswered(socket, error as NodeJS.ErrnoException);
  }
  const body = jsonOf(reply.text);
  if (reply.status === 200 && typeof body === 'object' && body !== null)
    return body as Answers[typeof action];
  const error = readControlError(body);
  if (error === undefined)
    throw new ConfigError(`${socket} belongs to another program: it answers ${reply.status}`);
  switch (error.code) {
    case 'denied':
      throw new DeniedError(error.reason);
    case 'unavailable':
    case 'clock':
      throw new NetError(error.reason);
    case 'bad request':
    case 'not found':
    case 'taken':
    case 'full':
      throw new ConfigError(error.reason);
  }
};

function unanswered(path: string, error: NodeJS.ErrnoException): ConfigError | NetError {
  const cause = { cause: error };
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return new ConfigError(
        `no control server answers at ${path}; start it: postern control --state DIR --listen ADDR:PORT --url URL`,
        cause,
      );
    case 'EACCES':
    case 'EPERM':
      return new ConfigError(
        `you may not open ${path}: run this as root, or be a member of its group`,
        cause,
      );
    default:
      return new NetError(`the control server at ${path} does not answer: ${error.message}`, cause);
  }
}

function converse(socketPath: string, path: string, body: string): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  };
  const request = httpRequest({ socketPath, path, method: 'POST', headers }, (response) => {
    readWhole(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject);
  });
  request.setTimeout(PATIENCE_MILLIS, () =>
    request.destroy(
      new Error(`nothing came for ${PATIENCE_MILLIS / 1000} s; its disk may be stalled`),
    ),
  );
  request.on('error', reject);
  request.end(body);
  return promise;
}

async function readWhole(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response) {
    bytes += (part as Buffer).length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error('its answer has no end');
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString('utf8');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
