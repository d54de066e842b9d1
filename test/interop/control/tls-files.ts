/** A certificate for the hub's addresses, in files as a server reads them; made once for a folder. */

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCertificate } from '../../../src/control/relay/own-certificate.ts';
import { HUB, HUB6 } from './network.ts';

export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

export async function tlsFiles(folder: string): Promise<TlsFiles> {
  const files = { certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
  if (existsSync(files.key)) return files;
  const made = await makeCertificate([HUB, HUB6]);
  writeFileSync(files.certificate, made.certificate);
  writeFileSync(files.key, made.key, { mode: 0o600 });
  return files;
}
