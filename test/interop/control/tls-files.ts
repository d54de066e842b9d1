/** A certificate for the hub's address, in files as a server reads them. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCertificate } from '../../../src/control/relay/own-certificate.ts';
import { HUB } from './network.ts';

export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

export async function tlsFiles(folder: string): Promise<TlsFiles> {
  const made = await makeCertificate([HUB]);
  const files = { certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
  writeFileSync(files.certificate, made.certificate);
  writeFileSync(files.key, made.key, { mode: 0o600 });
  return files;
}
