import t from 'tap';
import { must } from '../../must.ts';
import { fault, longDescription, searchAnswer } from '../disco/upnp-documents.ts';
import { at } from './stand.ts';
import { LOCATION } from './upnp-router.ts';
import { behindRouter, found, GATEWAY, mapped, searches, searching } from './upnp-stand.ts';

t.test('upnp: where nothing else gives a port, it is mapped, renewed and given back', async (t) => {
  const { stand, router } = await searching();
  t.equal(searches(stand), 2, 'asked after the other protocols');
  t.equal(stand.infos.at(-1)?.UPnP, undefined, 'nothing is said of it before');
  stand.paths.onGateway(searchAnswer(LOCATION), GATEWAY);
  stand.paths.onGateway(searchAnswer(LOCATION), GATEWAY);
  await stand.live(1);
  t.same(router.heard, ['GET', 'GetExternalIPAddress', 'AddPortMapping']);
  t.same(new Set(stand.asked.map(({ to }) => to)), new Set(['192.168.1.1:5000']));
  t.same([...router.opened], [[41_641, { to: '192.168.1.10:41641', leaseSeconds: 7200 }]]);
  t.same(mapped(stand), ['203.0.113.50:41641']);
  t.match(stand.infos.at(-1), { UPnP: true, PMP: false, PCP: false, HavePortMap: true });
  await stand.live(3_590_000);
  t.equal(router.heard.length, 3, 'asked no more');
  await stand.live(20_000);
  t.same(router.heard.slice(3), ['GetExternalIPAddress', 'AddPortMapping'], 'after an hour');
  t.equal(searches(stand), 2);
  await stand.paths.close();
  t.equal(router.opened.size, 0);
  t.equal(stand.clock.pending, 0);
});

t.test('upnp: nobody is asked where NAT-PMP gives a port', async (t) => {
  const { stand, router } = behindRouter();
  const hex = (text: string): Uint8Array => Uint8Array.fromHex(text);
  stand.paths.onGateway(hex('0080000000000001cb007132'), at('192.168.1.1:5351'));
  stand.paths.onGateway(hex('0081000000000001a2a9c00000001c20'), at('192.168.1.1:5351'));
  await stand.live(20_000);
  t.equal(searches(stand), 0);
  t.same(router.heard, []);
  t.equal(stand.infos.at(-1)?.UPnP, undefined);
});

t.test('upnp: a gateway that is silent is searched for twice and left alone', async (t) => {
  const { stand } = await searching();
  await stand.live(60_000);
  t.equal(searches(stand), 4);
  t.equal(stand.infos.at(-1)?.UPnP, false);
  t.same(mapped(stand), []);
  t.equal(stand.asked.length, 0);
});

t.test('upnp: a port that is taken has another one asked for', async (t) => {
  const taken: number[] = [];
  const { stand, router } = await found((router) => {
    router.instead = (action, port) => {
      if (action !== 'AddPortMapping' || taken.length === 2) return undefined;
      taken.push(port);
      return fault(718);
    };
  });
  const [port] = [...router.opened.keys()];
  t.equal(taken[0], 41_641);
  t.ok(port !== undefined && port >= 1024 && !taken.includes(port));
  t.same(mapped(stand), [`203.0.113.50:${port}`]);
  t.equal(must(router.opened.get(must(port))).to, '192.168.1.10:41641');
  await stand.live(3_600_000);
  t.same([...router.opened.keys()], [port], 'and is renewed as it is');
});

t.test(
  'upnp: a router that knows permanent leases only gives one, which is taken back',
  async (t) => {
    const { stand, router } = await found((router) => {
      router.instead = (action, _port, { leaseSeconds }) =>
        action === 'AddPortMapping' && leaseSeconds > 0 ? fault(725) : undefined;
    });
    t.same([...router.opened.values()], [{ to: '192.168.1.10:41641', leaseSeconds: 0 }]);
    t.same(mapped(stand), ['203.0.113.50:41641']);
    t.equal(stand.paths.counters()['upnp: permanent lease'], 1);
    router.opened.clear();
    await stand.live(3_600_000);
    t.equal(router.opened.size, 1, 'asked for again, should the router have forgotten it');
    t.equal(router.heard.length, 6);
    await stand.paths.close();
    t.equal(router.opened.size, 0);
  },
);

t.test('upnp: of two ways out the one that has an address is taken', async (t) => {
  const { stand, router } = await found((router) => {
    router.description = longDescription();
    let asked = 0;
    router.instead = (action) =>
      action === 'GetExternalIPAddress' && asked++ === 0 ? fault(501) : undefined;
  });
  t.same(mapped(stand), ['203.0.113.50:41641']);
  t.match(
    stand.asked.map(({ path }) => path),
    ['/rootDesc.xml', '/upnp/control/ppp', '/upnp/control/ip?0&1', '/upnp/control/ip?0&1'],
  );
  t.equal(router.opened.size, 1);
});

t.test('upnp: what was asked for and not answered is taken back at the end', async (t) => {
  const { stand, router } = await found((router) => {
    router.instead = (action, port, opened) => {
      if (action !== 'AddPortMapping') return undefined;
      router.opened.set(port, opened);
      return null;
    };
  });
  t.equal(router.opened.size, 1);
  await stand.paths.close();
  t.equal(router.opened.size, 0);
  t.equal(stand.clock.pending, 0);
});

t.test('upnp: the end does not wait for a gateway that is gone', async (t) => {
  const { stand, router } = await found();
  router.instead = () => null;
  const closed = stand.paths.close();
  await stand.live(1000);
  await closed;
  t.equal(router.heard.at(-1), 'DeletePortMapping');
});

t.test('upnp: a router that has begun anew is found anew', async (t) => {
  const { stand, router } = await found();
  router.opened.clear();
  router.instead = () => null;
  await stand.live(3_600_000);
  t.equal(searches(stand), 2);
  await stand.live(3500);
  t.equal(searches(stand), 4, 'after a renewal without answer');
  router.instead = () => undefined;
  stand.paths.onGateway(searchAnswer(LOCATION), GATEWAY);
  await stand.live(1);
  t.same([...router.opened.keys()], [41_641]);
});

t.test('upnp: a port that is refused at its renewal is taken back once', async (t) => {
  const { stand, router } = await found();
  router.instead = (action) => (action === 'AddPortMapping' ? fault(718) : undefined);
  await stand.live(3_600_000);
  t.same(router.heard.slice(3), ['GetExternalIPAddress', 'AddPortMapping', 'DeletePortMapping']);
  t.same(mapped(stand), []);
  const heard = router.heard.length;
  await stand.paths.close();
  t.equal(router.heard.length, heard, 'not again at the end');
});
