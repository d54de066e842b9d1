/**
 * The relay's self-signed certificate: made at the first start, kept in a document of the state folder, and
 * pinned by its SHA-256 in every map (`CertName: "sha256-raw:..."`), so that no authority is needed.
 *
 * A stock client checks, beside the pin, that the name it dials is in it (unless that is an address) and that
 * it is valid now. The validity is fixed, not counted from the clock: at its first start a board may not know
 * what year it is. Names that it lacks make a new one; the maps of the same start carry the new pin.
 *
 * Source: RFC 5280 4.1; for the pin, derp/derphttp of the open Tailscale source.
 */

import { ConfigError } from '../../base/errors.ts';
import { parseIp } from '../../base/ip.ts';
import { disk, SafeFile } from '../../store/safe-file.ts';
import type { CertificateText } from './certificate-files.ts';

const DOCUMENT = 'relay-certificate.json';
const VERSION = 1;
const NOT_BEFORE = new Date('2025-01-01T00:00:00Z');
const NOT_AFTER = new Date('2055-01-01T00:00:00Z');
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

interface Kept extends CertificateText {
  readonly names: readonly string[];
}

/**
 * @param folder of the state
 * @param names DNS names and IP addresses that clients dial
 * @throws NetError where it cannot be written
 */
export async function ownCertificate(
  folder: string,
  names: readonly string[],
): Promise<CertificateText> {
  const path = `${folder}/${DOCUMENT}`;
  const file = await SafeFile.open<Kept>({ path, version: VERSION, read: readKept, files: disk });
  const kept = file.value;
  if (kept !== undefined && names.every((name) => kept.names.includes(name))) return kept;
  const made = { ...(await makeCertificate(names)), names };
  await file.write(made);
  return made;
}

/** The maker is loaded only here: 15 MB and 0.1 s that every later start saves. */
export async function makeCertificate(names: readonly string[]): Promise<CertificateText> {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const { subtle } = globalThis.crypto;
  const keys = await subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const serial = globalThis.crypto.getRandomValues(new Uint8Array(16));
  // Positive, and of full length.
  serial[0] = ((serial[0] as number) & 0x3f) | 0x40;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial.toHex(),
    name: 'CN=postern relay',
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names.map(nameOf)),
    ],
  });
  const key = Buffer.from(await subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const lines = key.match(/.{1,64}/g) ?? [];
  return {
    certificate: `${certificate.toString('pem')}\n`,
    key: `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`,
  };
}

const nameOf = (value: string): { type: 'ip' | 'dns'; value: string } => ({
  type: parseIp(value) === undefined ? 'dns' : 'ip',
  value,
});

function readKept(body: unknown, version: number): Kept {
  const { certificate, key, names } = body as Partial<Record<keyof Kept, unknown>>;
  if (version !== VERSION || typeof certificate !== 'string' || typeof key !== 'string')
    throw new ConfigError(`expected a relay certificate of version ${VERSION}`);
  const list = Array.isArray(names) ? names.filter((name) => typeof name === 'string') : [];
  return { certificate, key, names: list };
}
