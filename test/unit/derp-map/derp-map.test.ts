import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { OwnRelay } from '../../../src/control/derp-map/derp-map.ts';
import { joined, ownRegion, readDerpMap } from '../../../src/control/derp-map/derp-map.ts';
import { DerpMapSources } from '../../../src/control/derp-map/sources.ts';
import { parseControlUrl } from '../../../src/control/settings/control-url.ts';
import { readMapResponse } from '../../../src/protocol/tailcfg/validate.ts';

const own = (text: string, more: Partial<OwnRelay> = {}) => {
  const url = parseControlUrl(text);
  if (typeof url === 'string') throw new Error(url);
  return ownRegion({ url, pin: undefined, stunPort: 3478, port80: false, ...more });
};
const region = (id: number) => ({
  RegionID: id,
  RegionCode: `r${id}`,
  RegionName: `Region ${id}`,
  Nodes: [{ Name: `${id}a`, RegionID: id, HostName: `derp${id}.example.org` }],
});
const mapText = (...ids: readonly number[]): string =>
  JSON.stringify({ Regions: Object.fromEntries(ids.map((id) => [id, region(id)])) });

t.test(
  'derp map: the own relay is where the URL is, of one family where that is an address',
  async (t) => {
    const node = (text: string, more?: Partial<OwnRelay>) => own(text, more).Nodes?.[0];
    t.same(node('http://192.168.1.2:8080', { pin: 'ab12' }), {
      Name: '900a',
      RegionID: 900,
      HostName: '192.168.1.2',
      IPv4: '192.168.1.2',
      IPv6: 'none',
      CertName: 'sha256-raw:ab12',
      DERPPort: 8080,
      STUNPort: 3478,
    });
    t.match(node('http://[fd00::2]:8080'), { HostName: 'fd00::2', IPv4: 'none', IPv6: 'fd00::2' });
    const named = node('https://mesh.example.org', { stunPort: undefined, port80: true });
    t.same(named, {
      Name: '900a',
      RegionID: 900,
      HostName: 'mesh.example.org',
      DERPPort: 443,
      STUNPort: -1,
      CanPort80: true,
    });
    const map = { DERPMap: joined(own('https://mesh.example.org'), []) };
    t.match(readMapResponse(Buffer.from(JSON.stringify(map))), { value: map }, 'a client takes it');
  },
);

t.test('derp map: two regions of one number are refused, and so is no relay at all', async (t) => {
  const others = [readDerpMap('a', Buffer.from(mapText(1, 2)))];
  t.same(Object.keys(joined(own('http://10.0.0.1'), others).Regions), ['1', '2', '900']);
  t.same(Object.keys(joined(undefined, others).Regions), ['1', '2']);
  const twice = [...others, readDerpMap('b', Buffer.from(mapText(2)))];
  t.throws(() => joined(undefined, twice), { name: 'ConfigError', message: /a region 2$/ });
  const ours = [readDerpMap('c', Buffer.from(mapText(900)))];
  t.throws(() => joined(own('http://10.0.0.1'), ours), { message: /a region 900$/ });
  t.throws(() => joined(undefined, []), { name: 'ConfigError', message: /no relay.*--derp-map/ });
});

t.test('derp map: what is none is refused by its source and its fault', async (t) => {
  const rows: readonly (readonly [string, RegExp])[] = [
    ['{', /^f: /],
    ['[]', /^f: /],
    ['{}', /^f: .*Regions/],
    ['{"Regions":{"1":{"RegionID":"1"}}}', /^f: .*RegionID/],
    [mapText(3).replace('"3":', '"4":'), /^f: region 4 says of itself that it is 3$/],
  ];
  for (const [text, message] of rows)
    t.throws(() => readDerpMap('f', Buffer.from(text)), { name: 'ConfigError', message }, text);
});

t.test('sources: a file or URL that is lost or spoilt leaves its last good map', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-derp-map-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  let answer: [status: number, body: string] = [200, mapText(2)];
  const server = createServer((_request, response) => {
    response.writeHead(answer[0]).end(answer[1]);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.teardown(() => server.close());
  const file = join(folder, 'map.json');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/derpmap`;
  const sources = new DerpMapSources([file, url]);
  const look = async () => {
    const { maps, faults } = await sources.look();
    return [maps.flatMap(({ Regions }) => Object.keys(Regions)), faults] as const;
  };
  const [first, faults] = await look();
  t.same(first, ['2'], 'what there is, though a file is missing');
  t.match(faults, [new RegExp(`^${file}: ENOENT`)]);
  writeFileSync(file, mapText(1));
  t.same(await look(), [['1', '2'], []]);
  writeFileSync(file, '{');
  answer = [503, ''];
  const [kept, wrong] = await look();
  t.same(kept, ['1', '2']);
  t.match(wrong, [new RegExp(`^${file}: `), new RegExp(`^${url}: it answered 503$`)]);
  answer = [200, ' '.repeat(2 * 2 ** 20)];
  t.match((await look())[1][1], /: it is longer than 1048576 bytes$/);
  server.closeAllConnections();
  server.close();
  t.match((await look())[1][1], /: .*ECONNREFUSED/);
  writeFileSync(file, mapText(5));
  t.same((await look())[0], ['5', '2']);
});
