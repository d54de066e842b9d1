/**
 * The early payload: the one thing a server may say inside the records before HTTP/2 begins.
 *
 *     ff ff ff 'T' 'S' | length 4, big endian | JSON {"nodeKeyChallenge":"chalpub:…"}
 *
 * The mark cannot open an HTTP/2 connection, whose first frame would be of 16 MiB; so a reader looks at nine
 * bytes, which are also the length of an HTTP/2 frame's header. A server need not send it.
 */

import { concat, equalBytes } from '../../base/bytes.ts';
import type { ChallengePublic } from './keys.ts';
import { formatChallengePublic, parseChallengePublic } from './keys.ts';

const MARK = Uint8Array.of(0xff, 0xff, 0xff, 0x54, 0x53);
const HEADER_BYTES = 9;
/** The protocol allows 10 MiB; what is known today is a hundred bytes. */
const MAX_PAYLOAD_BYTES = 16 * 1024;
const EMPTY = new Uint8Array(0);

export function writeEarlyPayload(challenge: ChallengePublic): Uint8Array {
  const json = new TextEncoder().encode(
    JSON.stringify({ nodeKeyChallenge: formatChallengePublic(challenge) }),
  );
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, json.length);
  return concat(MARK, length, json);
}

export type EarlyDrop = 'early payload: too long' | 'early payload: not JSON';

/** What stands before HTTP/2: `challenge` where the server sent one, `rest` the first bytes of HTTP/2. */
export interface Early {
  readonly challenge: ChallengePublic | undefined;
  readonly rest: Uint8Array;
}

/** Takes a client's received text until it is clear what comes first; then it is used no more. */
export class EarlyReader {
  #seen: Uint8Array = EMPTY;

  /** Undefined: more is needed. It keeps no more than one payload of the limit and one chunk. */
  push(text: Uint8Array): Early | EarlyDrop | undefined {
    this.#seen = concat(this.#seen, text);
    const seen = this.#seen;
    const marked = seen.subarray(0, MARK.length);
    if (!equalBytes(marked, MARK.subarray(0, marked.length)))
      return { challenge: undefined, rest: seen };
    if (seen.length < HEADER_BYTES) return undefined;
    const length = new DataView(seen.buffer, seen.byteOffset).getUint32(MARK.length);
    if (length > MAX_PAYLOAD_BYTES) return 'early payload: too long';
    if (seen.length < HEADER_BYTES + length) return undefined;
    const challenge = readChallenge(seen.subarray(HEADER_BYTES, HEADER_BYTES + length));
    if (challenge === null) return 'early payload: not JSON';
    return { challenge, rest: seen.subarray(HEADER_BYTES + length) };
  }
}

/** Null: no JSON object. Undefined: one without a challenge that we can read, which a client lives without. */
function readChallenge(bytes: Uint8Array): ChallengePublic | undefined | null {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const text = (value as Readonly<Record<string, unknown>>)['nodeKeyChallenge'];
  return typeof text === 'string' ? parseChallengePublic(text) : undefined;
}
