import t from 'tap';
import { askNode } from '../../../src/cli/ask-node.ts';
import type { Actions } from '../../../src/cli/program.ts';
import { served } from '../node-api/fake-node.ts';
import { LOGIN_URL, STATUS } from '../node-api/fake-status.ts';
import { fakeReport } from '../uapi/fake-interface.ts';
import { postern, start } from './run-verb.ts';

t.test('status: one screen says who, which way, how fast and what is wrong', async (t) => {
  const place = await served(t);
  t.match(await postern(place, 'status'), { code: 0, err: '' });
  place.node.change({
    Postern: {
      ...STATUS.Postern,
      health: [{ code: 'udp', severity: 'error', text: 'UDP is blocked', remedy: 'open it' }],
    },
  });
  const { code, out } = await postern(place, 'status');
  t.equal(code, 3);
  t.equal(
    out,
    `box.mesh.example (100.64.0.1, fd7a::1): running for 2 h 3 min
  owner       alice@example.org
  server      https://mesh.example, connected
  key         expires in 90 d, a new one in 60 d
  relay       fra (Frankfurt), 12 ms
  offers      192.168.8.0/24, exit node (not approved)

ADDRESS     NAME    OWNER              OS     PATH                                               RTT     RECEIVED  SENT  SPEED
100.64.0.2  laptop  alice@example.org  linux  direct 203.0.113.7:41641                           4.2 ms  1.5 KiB   0 B   2.1 Mbit/s in
100.64.0.3  nas     tag:store          linux  relay fra; leads to 10.1.0.0/16; offers exit node  42 ms   0 B       0 B   12.3 kbit/s out
100.64.0.4  phone   alice@example.org  linux  offline, seen 3 h ago                              -       0 B       0 B   -

error: UDP is blocked (udp)
              -> open it
`,
  );
  const json = await postern(place, 'status --json');
  t.equal(json.code, 0, 'as scripts of the other program expect');
  t.same(JSON.parse(json.out), JSON.parse(JSON.stringify(place.node.current)));
  const active = JSON.parse((await postern(place, 'status --json --active')).out);
  t.equal(Object.keys(active.Peer).length, 2);
  t.same(JSON.parse((await postern(place, 'status --json --peers=false')).out).Peer, {});
  t.match(await postern(place, 'status --ports'), { code: 0, out: 'open ports: none\n' });
});

t.test('status: each state that is not running says what to do', async (t) => {
  const place = await served(t);
  for (const [change, text] of [
    [{ BackendState: 'Stopped' }, /: down; join with: postern up/],
    [{ BackendState: 'NeedsLogin' }, /: logged out; log in with: postern up/],
    [{ AuthURL: LOGIN_URL }, /: to let this machine in, visit https:\/\/mesh.example\/a\//],
    [{ BackendState: 'NeedsMachineAuth' }, /: waits for an admin/],
    [{ BackendState: 'Starting' }, /: starting/],
  ] as const) {
    place.node.change(change);
    t.match(await postern(place, 'status --no-peers'), { code: 3, out: text });
  }
});

t.test('status: a thousand peers fit a screen, those in use first', async (t) => {
  const place = await served(t);
  const [busy, , idle] = Object.values(STATUS.Peer);
  const peers = Array.from({ length: 1000 }, (_, i) => [
    `nodekey:${i}`,
    { ...(i === 999 ? busy : idle), DNSName: `p${String(i).padStart(3, '0')}.x.` },
  ]);
  place.node.change({ Peer: Object.fromEntries(peers) });
  const { out } = await postern(place, 'status');
  t.match(out, /SPEED\n100\.64\.0\.2 +p999 .*and 980 more/s);
  t.ok(out.split('\n').length < 40);
});

t.test('status: where no node runs, the interfaces are told', async (t) => {
  const status = async () => [fakeReport('wg0')];
  const before = process.env['POSTERN_SOCKET'];
  t.teardown(() => {
    if (before === undefined) delete process.env['POSTERN_SOCKET'];
    else process.env['POSTERN_SOCKET'] = before;
  });
  delete process.env['POSTERN_SOCKET'];
  const askDefault: Actions['askNode'] = async (socket, action, request) => {
    t.equal(socket, '/run/postern/node.sock');
    return askNode('/nowhere/none', action, request);
  };
  t.match(await start(['status'], { status, askNode: askDefault }).ended, {
    code: 0,
    out: /^wg0: up/,
  });
  t.match(await start(['status', 'wg0'], { status }).ended, { code: 0, out: /^wg0: up/ });
  process.env['POSTERN_SOCKET'] = '/nowhere/node.sock';
  t.match(
    await start(['status'], { status }).ended,
    { code: 1, err: /no node answers at \/nowhere\/node\.sock; start it: .*postern node/ },
    'one that was named is not passed over',
  );
});
