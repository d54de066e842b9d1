/**
 * Whether a relay's certificate is the right one, by what the map says of the node.
 *
 *     CertName: sha256-raw:<64 hex>    exactly this certificate, within its time; no authority is asked
 *     CertName: name                   the usual way, with this name
 *     neither                          the usual way, with HostName (a name or an address)
 *     InsecureForTests                 any
 *
 * A board without a battery may believe in any year, so the time of a pinned certificate is judged only where the
 * clock is believed; the pin holds always. What is carried is sealed for the peer in any case: a false relay sees
 * keys and lengths, and may drop.
 *
 * Source: the open Tailscale protocol.
 */

import { createHash, type X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { equalBytes, fromHex, plainBytes } from '../../base/bytes.ts';
import { ConfigError, NetError } from '../../base/errors.ts';
import type { UnixMillis } from '../../base/time.ts';
import type { DERPNode } from '../../protocol/tailcfg/types.ts';

const PIN = 'sha256-raw:';
const SHA256_BYTES = 32;

export type Judge =
  | { readonly type: 'pin'; readonly sha256: Uint8Array }
  /** An authority that the system knows, and this name or address. */
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'any' };

/** @throws ConfigError for a pin that is none: nobody can have such a certificate */
export function judgeOf({ CertName = '', HostName, InsecureForTests }: DERPNode): Judge {
  if (InsecureForTests === true) return { type: 'any' };
  if (!CertName.startsWith(PIN)) return { type: 'name', name: CertName || HostName };
  const sha256 = fromHex(CertName.slice(PIN.length), SHA256_BYTES);
  if (sha256 !== undefined) return { type: 'pin', sha256 };
  throw new ConfigError(
    `relay ${HostName}: the map's CertName is no sha256-raw: with 64 hexadecimal digits; ` +
      'correct the relay in the settings of the coordination server',
  );
}

/** What TLS is told as the server's name: none for an address. */
export function serverName(judge: Judge, { HostName }: DERPNode): string {
  const name = judge.type === 'name' ? judge.name : HostName;
  return isIP(name) === 0 ? name : '';
}

/**
 * Judges a pinned certificate.
 *
 * @param wall undefined: the clock is not believed
 * @throws ConfigError that says what is wrong and what to do
 */
export function checkPin(
  shown: X509Certificate | undefined,
  wanted: Uint8Array,
  host: string,
  wall: UnixMillis | undefined,
): void {
  if (shown === undefined) throw new NetError(`relay ${host} shows no certificate`);
  const sha256 = plainBytes(createHash('sha256').update(shown.raw).digest());
  if (!equalBytes(sha256, wanted))
    throw new ConfigError(
      `relay ${host} shows certificate sha256 ${sha256.toHex()}, and the map names ` +
        `${wanted.toHex()}: it has a new one and the coordination server does not know yet, ` +
        'or somebody stands between; nothing is sent to it',
    );
  if (wall === undefined) return;
  const { validFromDate, validToDate } = shown;
  if (wall > validToDate.getTime())
    throw new ConfigError(
      `relay ${host}: its certificate was valid until ${validToDate.toISOString()}; ` +
        'renew it at the relay, or correct the clock of this machine',
    );
  if (wall < validFromDate.getTime())
    throw new ConfigError(
      `relay ${host}: its certificate is valid from ${validFromDate.toISOString()} on; ` +
        'correct the clock of this machine, or that of the relay and make the certificate anew',
    );
}

const REMEDIES: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT:
    'it is self-signed: let the map pin it (CertName sha256-raw:...), or give the relay one that an authority has signed',
  SELF_SIGNED_CERT_IN_CHAIN:
    'its authority is not known to this machine: add it to the system, or let the map pin the certificate',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'its authority is not known to this machine: add it to the system, or let the map pin the certificate',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'the relay does not send the certificates between: add them there',
  CERT_HAS_EXPIRED: 'it has expired: renew it at the relay, or correct the clock of this machine',
  CERT_NOT_YET_VALID: 'it is not valid yet: correct the clock of this machine',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it is for another name: correct CertName or HostName in the map',
};

/** The words for a handshake that failed. */
export function handshakeError(host: string, error: NodeJS.ErrnoException): Error {
  const remedy = REMEDIES[error.code ?? ''];
  if (remedy !== undefined)
    return new ConfigError(`relay ${host}: its certificate is refused: ${remedy}`);
  return new NetError(`relay ${host}: TLS failed: ${error.message}`);
}
