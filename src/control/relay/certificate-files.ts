/**
 * The certificate that the relay shows: a text, or two files that are looked at every few seconds and read
 * again when they have changed. A pair that does not fit together leaves the last good one in use, and is
 * reported once.
 */

import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { ConfigError } from '../../base/errors.ts';
import type { CertificateSource } from './commands.ts';

/** PEM both; the certificate may be followed by those above it. */
export interface CertificateText {
  readonly certificate: string;
  readonly key: string;
}

/** Hexadecimal SHA-256 of the first certificate's DER. */
export function certificateSha256(pem: string): string {
  return createHash('sha256').update(new X509Certificate(pem).raw).digest('hex');
}

/** @throws ConfigError for a pair that cannot be read, or does not fit together */
export async function readCertificate(source: CertificateSource): Promise<CertificateText> {
  if (source.type === 'text') return checked(source, 'relay: certificate');
  const what = `relay: certificate ${source.certificate} and key ${source.key}`;
  let texts: CertificateText;
  try {
    texts = {
      certificate: await readFile(source.certificate, 'utf8'),
      key: await readFile(source.key, 'utf8'),
    };
  } catch (error) {
    throw new ConfigError(`${what}: ${(error as Error).message}`);
  }
  return checked(texts, what);
}

/** Tells when files have changed; `changed` is called with the new pair, or with what is wrong with it. */
export class CertificateFiles {
  readonly #source: CertificateSource;
  readonly #changed: (found: CertificateText | ConfigError) => void;
  #seen: string | undefined;
  #looking = false;

  constructor(source: CertificateSource, changed: (found: CertificateText | ConfigError) => void) {
    this.#source = source;
    this.#changed = changed;
  }

  /** The first look only remembers. */
  async look(): Promise<void> {
    if (this.#source.type === 'text' || this.#looking) return;
    this.#looking = true;
    try {
      const marks = `${await mark(this.#source.certificate)} ${await mark(this.#source.key)}`;
      const before = this.#seen;
      this.#seen = marks;
      if (before === undefined || before === marks) return;
      this.#changed(await readCertificate(this.#source));
    } catch (error) {
      this.#changed(error as ConfigError);
    } finally {
      this.#looking = false;
    }
  }
}

/** Changes with a file's content, also where it is put in place by a rename. */
async function mark(path: string): Promise<string> {
  try {
    const { ino, size, mtimeMs } = await stat(path);
    return `${ino}:${size}:${mtimeMs}`;
  } catch {
    return 'absent';
  }
}

function checked(pair: CertificateText, what: string): CertificateText {
  let fits: boolean;
  try {
    fits = new X509Certificate(pair.certificate).checkPrivateKey(createPrivateKey(pair.key));
  } catch (error) {
    throw new ConfigError(
      `${what}: expected PEM, found what OpenSSL calls ${(error as Error).message}`,
    );
  }
  if (!fits) throw new ConfigError(`${what}: the key is not the certificate's`);
  return { certificate: pair.certificate, key: pair.key };
}
