/** A raw request to the API, without the verbs' words for what goes wrong. */

import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request } from 'node:http';

export interface Reply {
  readonly status: number | undefined;
  readonly body: unknown;
}

export function ask(path: string, action: string, body: unknown): ClientRequest {
  const asked = request({ socketPath: path, path: `/v1/${action}`, method: 'POST' });
  asked.on('error', () => {});
  asked.end(typeof body === 'string' ? body : JSON.stringify(body));
  return asked;
}

export async function post(path: string, action: string, body: unknown): Promise<Reply> {
  const [response] = (await once(ask(path, action, body), 'response')) as [IncomingMessage];
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return { status: response.statusCode, body: JSON.parse(text) };
}

/** The lines of a watch, one by one. */
