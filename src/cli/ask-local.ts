/**
 * Asks whoever listens on a local socket (protocol/localapi/exchange.ts has the form); what goes wrong is an
 * error that says what to do.
 *
 *     denied                                  DeniedError
 *     unavailable, clock                      NetError      try again
 *     any other refusal, nobody there         ConfigError   a person must change something
 */

import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { collect } from '../base/bytes.ts';
import { ConfigError, DeniedError, NetError } from '../base/errors.ts';
import { socketPathFault } from '../base/socket-path.ts';
import type { Refusal } from '../protocol/localapi/exchange.ts';
import {
  LINES_TYPE,
  MAX_ANSWER_BYTES,
  PATH_PREFIX,
  readRefusal,
} from '../protocol/localapi/exchange.ts';

/** Who is asked, as it is called to a person. */
export interface Listener {
  /** `the control server` */
  readonly name: string;
  /** How to start it. */
  readonly start: string;
  /** Who may open its socket. */
  readonly open: string;
  /** Why nothing may have come for so long. */
  readonly stall: string;
}

export interface Question {
  readonly socket: string;
  readonly action: string;
  readonly request: object;
  /** For silence, and at most; undefined: for ever. */
  readonly patienceMillis: number | undefined;
  /** Called with each of the news; true: enough, the question is taken back. */
  readonly news?: (news: unknown) => boolean;
  /** Takes the question back. */
  readonly signal?: AbortSignal | undefined;
}

interface Reply {
  readonly status: number;
  /** Of the answer, or the line that ends the news. */
  readonly body: unknown;
}

/** The answer; undefined where `news` had enough. */
export async function askLocal(
  listener: Listener,
  question: Question,
): Promise<object | undefined> {
  const fault = socketPathFault(question.socket);
  if (fault !== undefined) throw new ConfigError(fault);
  let reply: Reply | undefined;
  try {
    reply = await converse(listener, question);
  } catch (error) {
    throw unanswered(listener, question.socket, error as NodeJS.ErrnoException);
  }
  if (reply === undefined) return undefined;
  const { status, body } = reply;
  const refusal = readRefusal(body);
  if (refusal !== undefined) throw errorOf(refusal);
  if (status === 200 && typeof body === 'object' && body !== null) return body;
  throw new ConfigError(`${question.socket} belongs to another program: it answers ${status}`);
}

function errorOf({ code, reason }: Refusal): Error {
  switch (code) {
    case 'denied':
      return new DeniedError(reason);
    case 'unavailable':
    case 'clock':
      return new NetError(reason);
    case 'bad request':
    case 'not found':
    case 'taken':
    case 'full':
      return new ConfigError(reason);
  }
}

/** Nobody listens there. */
export class NobodyThereError extends ConfigError {}

function unanswered(
  { name, start, open }: Listener,
  path: string,
  error: NodeJS.ErrnoException,
): ConfigError | NetError {
  const cause = { cause: error };
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return new NobodyThereError(`no ${name} answers at ${path}; start it: ${start}`, cause);
    case 'EACCES':
    case 'EPERM':
      return new ConfigError(`you may not open ${path}: ${open}`, cause);
    default:
      return new NetError(`the ${name} at ${path} does not answer: ${error.message}`, cause);
  }
}

function converse({ stall }: Listener, question: Question): Promise<Reply | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply | undefined>();
  const body = JSON.stringify(question.request);
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  };
  const path = `${PATH_PREFIX}${question.action}`;
  const { socket: socketPath, signal } = question;
  const options = { socketPath, path, method: 'POST', headers, ...(signal && { signal }) };
  const request = httpRequest(options, (response) => {
    const lines = response.headers['content-type'] === LINES_TYPE;
    (lines ? readNews(response, question) : readWhole(response)).then((reply) => {
      resolve(reply);
      request.destroy();
    }, reject);
  });
  const { patienceMillis } = question;
  if (patienceMillis !== undefined)
    request.setTimeout(patienceMillis, () =>
      request.destroy(new Error(`nothing came for ${patienceMillis / 1000} s${stall}`)),
    );
  request.on('error', reject);
  request.end(body);
  return promise;
}

async function readWhole(response: IncomingMessage): Promise<Reply> {
  const body = await collect(response, MAX_ANSWER_BYTES);
  if (body === undefined) throw new Error('its answer has no end');
  return { status: response.statusCode ?? 0, body: jsonOf(new TextDecoder().decode(body)) };
}

/** Line by line, until `news` has enough or the last line is there. */
async function readNews(response: IncomingMessage, { news }: Question): Promise<Reply | undefined> {
  let text = '';
  for await (const part of response.setEncoding('utf8')) {
    text += part as string;
    if (text.length > MAX_ANSWER_BYTES) throw new Error('its answer has no end');
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) {
      const said = (jsonOf(line) ?? {}) as { news?: unknown; answer?: unknown };
      if (said.news === undefined) return { status: 200, body: said.answer ?? said };
      if (news?.(said.news)) return undefined;
    }
  }
  throw new Error('it has ended');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
