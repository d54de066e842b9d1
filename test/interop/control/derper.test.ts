/** Stock derper as the only relay of our network; whom it lets in, our server says (`/verify`). */

import { createHash, X509Certificate } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PEERS_BIN } from '../../../scripts/debian.ts';
import { makeCertificate } from '../../../src/control/relay/own-certificate.ts';
import { must } from '../../must.ts';
import type { Child } from '../../netns/child.ts';
import { NODE } from './mesh.ts';
import type { Network, Station } from './network.ts';
import { HUB } from './network.ts';
import { UNDER_TEST } from './server.ts';
import { meshTest } from './suite.ts';

const NAME = 'relay.test';
const PORT = 443;
const REGION = 901;
const STRANGER = join(import.meta.dirname, 'stranger.ts');

let relay: { readonly station: Station; readonly derper: Child } | undefined;

const skip = UNDER_TEST !== 'ours' && 'the others have /verify behind TLS alone';

meshTest('derper: it carries our members and nobody else', { prepare, skip }, async (t, mesh) => {
  const { network } = mesh;
  const { station, derper } = must(relay);
  const [a, b] = await mesh.joined('alice', 'a', 'b');
  t.equal((await a.status()).Self.Relay, 'stock');
  await Promise.all([network.dropUdp(a.station), network.dropUdp(b.station)]);
  t.equal(await a.ping('b', 2), 'relay');
  await mesh.serve(b.host);
  t.equal(await mesh.talk(a.host, 'b'), 'whole');

  const { stdout } = await network.hub.run([NODE, STRANGER, station.address, `${PORT}`, NAME]);
  t.equal(stdout.trim(), 'refused');
  t.match(derper.output, /admission controller/, 'because our server says so');

  await derper.stop();
  t.equal(await a.ping('b', 2), undefined, 'there is no other relay');
});

/** The relay, and the map that leads to it. */
async function prepare(network: Network): Promise<{ derpMap: string }> {
  const station = await network.station('relay');
  const folder = join(network.folder, 'derper');
  mkdirSync(folder);
  const { certificate, key } = await makeCertificate([NAME]);
  writeFileSync(join(folder, `${NAME}.crt`), certificate);
  writeFileSync(join(folder, `${NAME}.key`), key);
  const derper = station.host.start([
    join(PEERS_BIN, 'derper'),
    ...['-a', `${station.address}:${PORT}`, '-http-port', '-1', '-hostname', NAME],
    ...['-certmode', 'manual', '-certdir', folder, '-c', join(folder, 'derper.json')],
    ...['-verify-client-url', `http://${HUB}:8080/verify`, '-verify-client-url-fail-open=false'],
  ]);
  relay = { station, derper };
  const derpMap = join(network.folder, 'derp-map.json');
  writeFileSync(derpMap, JSON.stringify(mapOf(station.address, certificate)));
  return { derpMap };
}

function mapOf(address: string, certificate: string): object {
  const pin = createHash('sha256').update(new X509Certificate(certificate).raw).digest('hex');
  const node = {
    Name: `${REGION}a`,
    RegionID: REGION,
    HostName: NAME,
    IPv4: address,
    IPv6: 'none',
    CertName: `sha256-raw:${pin}`,
  };
  const region = { RegionID: REGION, RegionCode: 'stock', RegionName: 'Stock', Nodes: [node] };
  return { Regions: { [REGION]: region } };
}
