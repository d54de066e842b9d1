/**
 * Two relays and STUN servers, each of both families: the server's own, and stock derper at an address of its
 * own. With one address alone nobody can see that a NAT gives another port for another destination; and who has
 * no IPv4 would reach no relay that is named by an address of it.
 */

import { createHash, X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PEERS_BIN } from '../../../scripts/debian.ts';
import { makeCertificate } from '../../../src/control/relay/own-certificate.ts';
import type { Network } from '../control/network.ts';
import { HUB, HUB6 } from '../control/network.ts';
import type { ServerOptions } from '../control/server.ts';
import { tlsFiles } from '../control/tls-files.ts';

const NAME = 'second.test';
const REGION = 901;
const OWN_REGION = 900;
const PORT = 443;

/** For `prepare`: what the server is to be told of them. */
export async function withTwoRelays(network: Network): Promise<ServerOptions> {
  const { certificate } = await tlsFiles(network.folder);
  const own = region(OWN_REGION, 'own', {
    HostName: HUB,
    IPv4: HUB,
    IPv6: HUB6,
    CertName: pin(readFileSync(certificate, 'utf8')),
  });
  const second = await startSecondRelay(network);
  const derpMap = join(network.folder, 'derp-map.json');
  writeFileSync(derpMap, JSON.stringify({ Regions: { [OWN_REGION]: own, [REGION]: second } }));
  return { secure: true, also: HUB6, derpMap };
}

async function startSecondRelay(network: Network): Promise<object> {
  const station = await network.station('second');
  const folder = join(network.folder, 'second-relay');
  mkdirSync(folder);
  const { certificate, key } = await makeCertificate([NAME]);
  writeFileSync(join(folder, `${NAME}.crt`), certificate);
  writeFileSync(join(folder, `${NAME}.key`), key);
  const derper = station.host.start([
    join(PEERS_BIN, 'derper'),
    ...['-a', `:${PORT}`, '-http-port', '-1', '-hostname', NAME],
    ...['-certmode', 'manual', '-certdir', folder, '-c', join(folder, 'derper.json')],
  ]);
  await derper.says(/serving on/);
  return region(REGION, 'second', {
    HostName: NAME,
    IPv4: station.address,
    IPv6: station.address6,
    CertName: pin(certificate),
  });
}

function region(number: number, code: string, node: object): object {
  return {
    RegionID: number,
    RegionCode: code,
    RegionName: code,
    Nodes: [{ Name: `${number}a`, RegionID: number, ...node }],
  };
}

function pin(certificate: string): string {
  const digest = createHash('sha256').update(new X509Certificate(certificate).raw).digest('hex');
  return `sha256-raw:${digest}`;
}
