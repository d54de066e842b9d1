/**
 * What `control.sock` and `node.sock` have in common: HTTP/1.1 on a unix socket, one request a connection; the
 * kernel says who asks (peer credentials), so there is no login.
 *
 *     POST /v1/ACTION                    the request, an object of JSON; no body is an empty one
 *     200                                the answer
 *     400 403 404 409 503 507            {"error":{"code":"not found","reason":"there is no node nas"}}
 *
 * An action that has news before its answer sends them as lines, and its answer or its error as the last one:
 *
 *     200 application/x-ndjson           {"news":{...}} {"news":{...}} {"answer":{...}}
 *
 * A request has the shape of its action, and is refused whole for a field that the shape does not name.
 */

export const PATH_PREFIX = '/v1/';
/** No request needs more: 512 prefixes. */
export const MAX_REQUEST_BYTES: number = 256 * 1024;
/** No answer is longer: 4 times that of 10,000 nodes. */
export const MAX_ANSWER_BYTES: number = 64 * 1024 * 1024;
export const LINES_TYPE = 'application/x-ndjson';

export type RefusalCode =
  | 'bad request'
  | 'denied'
  | 'not found'
  | 'taken'
  /** A limit is reached. */
  | 'full'
  /** Nobody trusts the clock that would decide it. */
  | 'clock'
  /** It could not be saved, or nobody answered; nothing has changed. */
  | 'unavailable';

export const STATUS_OF: Readonly<Record<RefusalCode, number>> = {
  'bad request': 400,
  denied: 403,
  'not found': 404,
  taken: 409,
  full: 507,
  clock: 503,
  unavailable: 503,
};

export interface Refusal {
  readonly code: RefusalCode;
  /** For a person. */
  readonly reason: string;
}

/** What a request comes to. */
export type Answered<T> =
  | { readonly ok: true; readonly body: T }
  | ({ readonly ok: false } & Refusal);

export const answered = <T>(body: T): Answered<T> => ({ ok: true, body });

/** The error of an answer that is none of the asked; undefined where it has none. */
export function readRefusal(body: unknown): Refusal | undefined {
  const { error } = (body ?? {}) as { error?: Partial<Refusal> };
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, reason } = error;
  return isRefusalCode(code) && typeof reason === 'string' ? { code, reason } : undefined;
}

const isRefusalCode = (text: unknown): text is RefusalCode =>
  typeof text === 'string' && Object.hasOwn(STATUS_OF, text);
