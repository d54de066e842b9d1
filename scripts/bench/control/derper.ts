/** Stock derper with a certificate of its own making, in this namespace or a host of the lab. */

import { createHash, X509Certificate } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCertificate } from '../../../src/control/relay/own-certificate.ts';
import { PEERS_BIN } from '../../debian.ts';

export interface Derper {
  readonly argv: readonly string[];
  /** A DERP map that names it alone, as servers read it from a file. */
  readonly map: object;
  /** What its certificate is for. */
  readonly name: string;
}

/** @param folder for its files; exists */
export async function prepareDerper(
  folder: string,
  address: string,
  port: number,
  stunPort: number,
): Promise<Derper> {
  const name = 'relay.test';
  const { certificate, key } = await makeCertificate([name]);
  const certificates = join(folder, 'derper-certs');
  mkdirSync(certificates);
  writeFileSync(join(certificates, `${name}.crt`), certificate);
  writeFileSync(join(certificates, `${name}.key`), key);
  const pin = createHash('sha256').update(new X509Certificate(certificate).raw).digest('hex');
  const node = {
    Name: '901a',
    RegionID: 901,
    HostName: name,
    CertName: `sha256-raw:${pin}`,
    IPv4: address,
    DERPPort: port,
    STUNPort: stunPort,
  };
  const region = { RegionID: 901, RegionCode: 'derper', RegionName: 'derper', Nodes: [node] };
  return {
    argv: [
      join(PEERS_BIN, 'derper'),
      ...['-a', `${address}:${port}`, '-http-port', '-1', '-stun-port', String(stunPort)],
      ...['-hostname', name, '-certmode', 'manual', '-certdir', certificates],
      ...['-c', join(folder, 'derper.json')],
    ],
    map: { Regions: { 901: region } },
    name,
  };
}
