import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import type { Test } from 'tap';
import t from 'tap';
import { lineLog } from '../../../src/base/log.ts';
import { askControl } from '../../../src/cli/ask-control.ts';
import type { Terminal } from '../../../src/cli/program.ts';
import { runProgram } from '../../../src/cli/program.ts';
import { serveAdmin } from '../../../src/control/admin/server.ts';
import { AdminWorld } from '../admin/admin-world.ts';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const neverAsked = (): never => {
  throw new Error('no node was to be asked');
};

async function postern(line: string, confirm?: Terminal['confirm']): Promise<Ran> {
  const said = { out: '', err: '' };
  const code = await runProgram(
    'postern',
    line.split(' '),
    {
      ask: askControl,
      node: async () => {},
      askNode: neverAsked,
      watchNode: neverAsked,
      qr: () => [],
      status: async () => [],
      wireguard: async () => {},
      control: async () => {},
      version: () => {
        throw new Error('not asked for');
      },
    },
    {
      out: (text) => {
        said.out += text;
      },
      err: (text) => {
        said.err += text;
      },
      debug: false,
      confirm,
    },
  );
  return { code, ...said };
}

/** A server on its socket. Its time is the real one, since verbs say how long ago something was. */
async function serverOf(t: Test): Promise<{ world: AdminWorld; socket: string }> {
  const folder = mkdtempSync(`${tmpdir()}/pv-`);
  const world = await AdminWorld.make(Date.now());
  const server = await serveAdmin({
    ...world.ports,
    path: `${folder}/control.sock`,
    staff: { ownUid: 0, logins: new Map() },
    credentialsOf: () => ({ pid: 1, uid: 0, gid: 0 }),
    log: lineLog(() => {}, 'error'),
  });
  t.teardown(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });
  return { world, socket: server.path };
}

t.test('verbs: a script makes a user and a key, and gets the key alone', async (t) => {
  const { socket } = await serverOf(t);
  const made = await postern(`users create alice --socket ${socket}`);
  t.same(made, { code: 0, out: '', err: 'made user alice (member)\n' });
  const { code, out, err } = await postern(
    `keys create --user alice --reusable --ephemeral --expiry 90d --socket ${socket}`,
  );
  t.equal(code, 0);
  t.match(out, /^pkey-[0-9a-z]{12}-[0-9a-z]{40}\n$/);
  t.match(err, /^key 3 for alice: reusable, ephemeral, expires in .*\n$/);
  t.notMatch(err, out.trim());
  const tagged = await postern(`keys create --tags tag:a,tag:b --json --socket ${socket}`);
  t.match(JSON.parse(tagged.out), {
    token: /^pkey-/,
    key: { tags: ['tag:a', 'tag:b'], user: null },
  });
  t.equal(tagged.err, '');
});

t.test('verbs: the list of nodes is JSON with what scripts rely on', async (t) => {
  const { socket } = await serverOf(t);
  const { code, out } = await postern(`nodes --socket ${socket} list --json`);
  t.equal(code, 0);
  const { nodes } = JSON.parse(out);
  t.equal(nodes.length, 2);
  t.match(nodes[0], {
    id: 1,
    name: 'nas',
    fqdn: 'nas.mesh.internal',
    user: 'olga',
    tags: [],
    addresses: [/^100\.64\.\d+\.\d+$/, /^fd7a:115c:a1e0:/],
    online: false,
    lastSeen: null,
    keyExpires: /^\d{4}-.*Z$/,
    expired: false,
    routes: { announced: [], approved: [], primary: [] },
    version: '',
  });
  t.match(await postern(`nodes delete ${nodes[0].addresses[1]} --socket ${socket}`), {
    code: 0,
    out: '',
    err: 'deleted node nas\n',
  });
  t.match(await postern(`nodes delete nas --socket ${socket}`), {
    code: 1,
    err: 'postern: there is no node nas\n',
  });
});

t.test('verbs: a screen has aligned columns, and nothing that a terminal would obey', async (t) => {
  const { world, socket } = await serverOf(t);
  await world.wait(9, { hostname: 'evil\u001b[2J\u202ename' });
  const { out } = await postern(`nodes waiting --socket ${socket}`);
  t.match(out, /^ID +HOST NAME +FROM .*\n[0-9a-f]{32} +evil\?\[2J\?name +192\.0\.2\.7 /);
  const list = await postern(`nodes list --socket ${socket}`);
  const [head = '', ...rows] = list.out.trimEnd().split('\n');
  t.match(head, /^ID {2}NAME {4}OWNER {2}ADDRESS +STATE +SEEN +KEY EXPIRES +VERSION$/);
  t.match(rows, [
    /^1 {3}nas {5}olga {3}100\.64\.0\.\d +offline {2}never {2}in \d+ d +-$/,
    /^2 {3}laptop {2}mia /,
  ]);
  t.match(
    (await postern(`nodes show laptop --socket ${socket}`)).out,
    /^laptop\.mesh\.internal: offline\n {2}id +2 .*\n {2}owner +mia\n/,
  );
});

t.test('verbs: each does what it says, on the model', async (t) => {
  const { world, socket } = await serverOf(t);
  const id = await world.wait(9);
  const other = await world.wait(10);
  for (const [line, said] of [
    ['users role mia admin', /mia is admin now/],
    ['users rename mia maria --name Maria', /user 3 is maria now/],
    ['nodes rename nas attic', /node 1 is attic\.mesh\.internal now/],
    ['nodes expire attic never', /attic: its key does not expire/],
    ['nodes expire laptop', /laptop: its key expired/],
    [
      `nodes approve http://192.0.2.1/register/${id} --user max`,
      /host9\.mesh\.internal \(100\..* for max/,
    ],
    [`nodes refuse ${other}`, /refused login/],
    ['nodes tag attic tag:b,tag:a', /attic belongs to tag:a, tag:b now/],
    ['nodes rename attic', /node 1 is nas\.mesh\.internal now/],
    [
      'routes approve nas 10.1.0.0/24 --exit',
      /nas may route 0\.0\.0\.0\/0, 10\.1\.0\.0\/24, ::\/0; it does not offer/,
    ],
    ['routes list nas', /10\.1\.0\.0\/24 +nas +no +yes +no +no/],
    ['routes withdraw nas --all', /nas may route nothing/],
    [
      'dns set --nameservers 1.1.1.1,9.9.9.9 --split a.example=10.0.0.1 --split b.example=10.0.0.2 --override',
      /split +a\.example: 10\.0\.0\.1; b\.example: 10\.0\.0\.2/,
    ],
    [
      'dns set --split a.example=none --no-override --search c.example',
      /for all +no\n +split +b\.example: 10\.0\.0\.2\n +search +mesh\.internal, c\.example/,
    ],
    ['dns record add cam 10.0.0.9', /cam\.mesh\.internal is 10\.0\.0\.9/],
    ['dns show', /cam\.mesh\.internal +A +10\.0\.0\.9/],
    ['dns record remove cam', /no more/],
    ['relay show', /relay: off/],
    [
      'audit list --limit 2',
      /uid 0 +control\.sock +dns\.remove +cam\.mesh\.internal .*\n.*older ones: --before \d+/s,
    ],
    ['keys list', /2 +pkey-\w+ +maria +once +1 +.*used/],
    ['keys revoke 2', /revoked key 2/],
    ['keys delete 2', /deleted key/],
    ['users list', /3 +maria +Maria +admin +1 /],
    ['health', /nodes +3, 0 online\n.*health: all well/s],
  ] as const) {
    const { code, out, err } = await postern(`${line} --socket ${socket}`);
    t.match(out + err, said, line);
    t.equal(code, 0, line);
  }
  t.match(world.model.settings, {
    nameservers: ['1.1.1.1', '9.9.9.9'],
    overrideLocalDns: false,
    searchDomains: ['c.example'],
  });
});

t.test('verbs: before something is gone a person is asked, and a script is not', async (t) => {
  const { world, socket } = await serverOf(t);
  const asked: string[] = [];
  const answer = (yes: boolean) => async (question: string) => {
    asked.push(question);
    return yes;
  };
  t.match(await postern(`nodes delete nas --socket ${socket}`, answer(false)), {
    code: 0,
    err: 'nothing was changed\n',
  });
  t.equal(world.model.nodes.size, 2);
  t.match(await postern(`nodes delete nas --socket ${socket}`, answer(true)), { err: /deleted/ });
  t.match(await postern(`nodes delete laptop --yes --socket ${socket}`, answer(false)), {
    err: /deleted/,
  });
  t.match(await postern(`users delete max --socket ${socket}`), { err: 'deleted user max\n' });
  t.same(asked, ['Delete node nas?', 'Delete node nas?']);
});

t.test('verbs: what is mistyped is exit 2, before anybody is asked', async (t) => {
  for (const line of [
    'nodes',
    'nodes explode',
    'nodes delete',
    'nodes list more',
    'nodes expire nas soon',
    'nodes tag nas blue',
    'users role mia king',
    'keys create --user a --expiry 1hour',
    'keys create --tags web',
    'dns set --split a.example',
    'audit list --limit 0',
  ]) {
    const { code, err, out } = await postern(line);
    t.equal(code, 2, line);
    t.equal(out, '', line);
    t.match(err, /--help|Usage/, line);
  }
});

t.test('verbs: where no server answers, the text says what to do', async (t) => {
  const folder = mkdtempSync(`${tmpdir()}/pv-`);
  t.teardown(() => rmSync(folder, { recursive: true }));
  const none = await postern(`nodes list --socket ${folder}/none.sock`);
  t.equal(none.code, 1);
  t.match(
    none.err,
    /^postern: no control server answers at .*none\.sock; start it: postern control/,
  );
  const other = createServer((_request, response) => response.end('hello'));
  await new Promise<void>((done) => other.listen(`${folder}/other.sock`, done));
  t.teardown(() => other.close());
  const strange = await postern(`nodes list --socket ${folder}/other.sock`);
  t.match(strange, { code: 1, err: /belongs to another program: it answers 200/ });
});

t.test('verbs: the socket may be named by the environment', async (t) => {
  const { socket } = await serverOf(t);
  process.env['POSTERN_CONTROL_SOCKET'] = socket;
  t.teardown(() => delete process.env['POSTERN_CONTROL_SOCKET']);
  t.match(await postern('users list'), { code: 0, out: /olga/ });
});

t.test('health: an item of severity error is exit 3', async (t) => {
  const { world, socket } = await serverOf(t);
  world.health = [{ code: 'disk', severity: 'error', text: 'full', remedy: 'make room' }];
  const { code, out } = await postern(`health --socket ${socket}`);
  t.equal(code, 3);
  t.match(out, /error: full \(disk\)\n +-> make room/);
  t.equal((await postern(`health --json --socket ${socket}`)).code, 3);
});
