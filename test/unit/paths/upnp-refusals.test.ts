import t from 'tap';
import { fault, longDescription, page, searchAnswer } from '../disco/upnp-documents.ts';
import { at } from './stand.ts';
import type { UpnpRouter } from './upnp-router.ts';
import { LOCATION } from './upnp-router.ts';
import { found, GATEWAY, mapped, searching } from './upnp-stand.ts';

t.test('upnp: where every port is taken there is none', async (t) => {
  const { stand, router } = await found((router) => {
    router.instead = (action) => (action === 'AddPortMapping' ? fault(718) : undefined);
  });
  t.equal(router.heard.filter((action) => action === 'AddPortMapping').length, 5);
  t.same(mapped(stand), []);
  t.equal(stand.paths.counters()['upnp: conflict'], 1);
  await stand.paths.close();
  t.notOk(router.heard.includes('DeletePortMapping'), 'what is another’s is not taken back');
});

const USELESS: readonly (readonly [
  what: string,
  reason: string,
  prepare: (router: UpnpRouter) => void,
])[] = [
  [
    'refuses',
    'upnp: refused',
    (router) => {
      router.instead = (action) => (action === 'AddPortMapping' ? fault(606) : undefined);
    },
  ],
  [
    'redirects',
    'upnp: no description',
    (router) => {
      router.instead = () => page('', 302);
    },
  ],
  [
    'says too much',
    'upnp: answer too long',
    (router) => {
      router.instead = () => ({ status: 200, body: undefined });
    },
  ],
  [
    'has itself controlled elsewhere',
    'upnp: control elsewhere',
    (router) => {
      router.description = longDescription('http://198.51.100.1/');
    },
  ],
  [
    'has an address of its provider’s network',
    'upnp: absurd address',
    (router) => {
      router.address = '100.64.0.1';
    },
  ],
  [
    'has no address',
    'upnp: absurd address',
    (router) => {
      router.address = '0.0.0.0';
    },
  ],
];

for (const [what, reason, prepare] of USELESS)
  t.test(`upnp: a router that ${what} has nothing advertised`, async (t) => {
    const { stand, router } = await found(prepare);
    t.same(mapped(stand), []);
    t.ok((stand.paths.counters()[reason] ?? 0) > 0, reason);
    t.equal(router.opened.size, 0);
    t.same(new Set(stand.asked.map(({ to }) => to.split(':')[0])), new Set(['192.168.1.1']));
    t.equal(stand.infos.at(-1)?.UPnP, true, 'it speaks UPnP all the same');
    await stand.paths.close();
    t.equal(stand.clock.pending, 0);
  });

t.test('upnp: an address that STUN does not see is not advertised', async (t) => {
  const { stand, router } = await found((router) => {
    router.address = '198.51.100.200';
  });
  t.equal(router.opened.size, 1);
  t.same(mapped(stand), []);
  t.match(stand.infos.at(-1), { UPnP: true, HavePortMap: false });
});

t.test('upnp: strangers and places elsewhere change nothing', async (t) => {
  const { stand, router } = await searching();
  const answer = searchAnswer(LOCATION);
  stand.paths.onGateway(answer, at('192.168.1.66:1900'));
  stand.paths.onGateway(answer, at('192.168.1.1:53'));
  stand.paths.onGateway(searchAnswer('http://192.168.1.66:5000/rootDesc.xml'), GATEWAY);
  stand.paths.onGateway(searchAnswer('http://169.254.169.254/latest'), GATEWAY);
  await stand.live(1);
  t.equal(stand.asked.length, 0);
  t.match(stand.paths.counters(), {
    'port-map: from a stranger': 2,
    'upnp: location elsewhere': 2,
  });
  stand.paths.onGateway(answer, GATEWAY);
  await stand.live(1);
  t.equal(router.opened.size, 1, 'and a true answer still counts');
});

t.test('upnp: a page that does not come is waited for some seconds', async (t) => {
  const { stand, router } = await found((router) => {
    router.instead = () => null;
  });
  await stand.live(4000);
  t.equal(stand.paths.counters()['upnp: no answer'], 1);
  t.same(router.heard, ['GET']);
  t.equal(stand.infos.at(-1)?.UPnP, true);
});

t.test('upnp: the network changes while the gateway thinks', async (t) => {
  const { stand, router } = await found((router) => {
    router.instead = (action) => (action === 'AddPortMapping' ? null : undefined);
  });
  t.same(router.heard, ['GET', 'GetExternalIPAddress', 'AddPortMapping']);
  stand.gateway = at('10.0.0.1:1').address;
  stand.local = [at('10.0.0.7:41641')];
  stand.paths.linkChanged();
  await stand.live(5000);
  t.equal(router.heard.length, 3, 'the old one is asked no more');
  stand.paths.onGateway(searchAnswer(LOCATION), GATEWAY);
  await stand.live(5000);
  t.equal(router.heard.length, 3);
  t.ok(stand.gatewayed.some(({ to }) => to === '10.0.0.1:1900'));
  await stand.paths.close();
  t.equal(router.heard.length, 3, 'nor told that we end');
});
