/**
 * Which room may import what: of our rooms, of Node and of npm. A room is a folder of src/ (or a file of
 * it); the longest row that fits a path is its room, and every file of src/ has one.
 */

import { builtinModules } from 'node:module';
import { posix } from 'node:path';
import { importsOf } from './scan.ts';
import type { Law, TreeFile, Violation } from './tree.ts';

interface Room {
  /** Path below src/, of a folder or a file. */
  readonly room: string;
  /** Rooms below src/, with all that is in them. Its own folder always. */
  readonly may: readonly string[];
  /** Rooms of which types alone may be imported. */
  readonly mayTypes?: readonly string[];
  /** No I/O, clock, chance or process (purity.ts); these modules of Node alone. */
  readonly pure?: readonly string[];
  readonly why: string;
}

const NODE = ['base', 'crypto', 'protocol', 'policy', 'store'];

export const ROOMS: readonly Room[] = [
  { room: 'base', may: [], pure: [], why: 'everything stands on base, so base stands on nothing' },
  {
    room: 'crypto',
    may: ['base'],
    pure: ['node:crypto'],
    why: 'primitives are judged by vectors alone; keys and chance come as arguments',
  },
  {
    room: 'protocol',
    may: ['base', 'crypto'],
    pure: [],
    why: 'what goes over a wire serves both of its ends and every simulation',
  },
  {
    room: 'policy',
    may: ['base', 'protocol'],
    pure: [],
    why: 'who may do what is decided by a function that a test can ask',
  },
  { room: 'store', may: ['base'], why: 'it keeps documents and need not understand them' },
  {
    room: 'linux',
    may: ['base'],
    mayTypes: ['crypto'],
    why: 'the rim fits the ports of the rooms by shape, and never calls into them',
  },
  {
    room: 'node/dataplane',
    may: NODE,
    why: 'the packet path is below the tunnel and knows it only as commands',
  },
  { room: 'node/tunnel', may: [...NODE, 'node/dataplane'], why: 'session -> tunnel -> dataplane' },
  {
    room: 'node/uapi',
    may: [...NODE, 'node/tunnel'],
    why: 'a text form of what the tunnel offers; it has no business in the packet path',
  },
  {
    room: 'node/session',
    may: NODE,
    why: 'it knows the server and tells of the map; who applies it is joined outside',
  },
  {
    room: 'node/paths',
    may: NODE,
    why: 'it finds ways to peers, and is told of sockets and relays',
  },
  { room: 'node/relays', may: NODE, why: 'a link like a socket: it knows neither map nor tunnel' },
  { room: 'node/api', may: NODE, why: 'what is asked of the node is a port, and main fits it' },
  { room: 'node/router', may: NODE, why: 'it is told routes and does not ask for them' },
  { room: 'node/names', may: NODE, why: 'it is told names and does not ask for them' },
  { room: 'node/lan', may: NODE, why: 'it reports devices to whoever asks' },
  {
    room: 'control/registry',
    may: ['base', 'crypto', 'protocol', 'policy'],
    pure: [],
    why: 'each change is one function of the last model, so that it can be replayed',
  },
  {
    room: 'control',
    may: ['base', 'crypto', 'protocol', 'policy', 'store', 'control'],
    why: 'it never runs in the process that holds the keys of the tunnel',
  },
  {
    room: 'ssh',
    may: ['base', 'crypto', 'protocol', 'store'],
    why: 'it asks the node over its socket, as a program of its own',
  },
  {
    room: 'web',
    may: ['base', 'protocol', 'control/accounts'],
    why: 'pages show what the sockets tell',
  },
  {
    room: 'update',
    may: ['base', 'crypto', 'store'],
    why: 'it must work where everything else is broken',
  },
  { room: 'cli', may: ['base', 'protocol/localapi'], why: 'a verb talks to a socket' },
  {
    room: '',
    may: [
      'base',
      'crypto',
      'protocol',
      'policy',
      'store',
      'node',
      'control',
      'ssh',
      'web',
      'update',
      'cli',
    ],
    why: 'the program itself: settings, signals, which rooms run',
  },
];

/** The only files that may import linux/ beside other rooms. */
export const JOINERS: readonly { readonly file: string; readonly why: string }[] = [
  { file: 'part-wireguard.ts', why: 'a part of the program joins its ports to the system' },
  { file: 'part-node.ts', why: 'the same for the node' },
  { file: 'part-control.ts', why: 'the same for the coordination server' },
  { file: 'carried-native.ts', why: 'where its functions come from' },
  { file: 'start-node.ts', why: "main's part that joins the rooms of a node" },
  { file: 'node-system.ts', why: 'the system as those rooms need it' },
  { file: 'routing-watch.ts', why: 'what the kernel tells of it' },
  { file: 'packet-worker.ts', why: 'the thread of a tunnel, which waits in the kernel' },
  { file: 'start-wireguard.ts', why: "main's part that joins the parts of a tunnel" },
  { file: 'node/dataplane/worker.ts', why: "a worker's entry is the main of its thread" },
];

/** Packages, and the paths that may import them; a package without a row may be imported nowhere. */
export const PACKAGES: readonly {
  readonly name: string;
  readonly only: readonly string[];
  readonly why: string;
}[] = [
  {
    name: 'koffi',
    only: ['src/linux/ffi.ts'],
    why: 'one door to native code, to be replaced in one file',
  },
  { name: 'ssh2', only: ['src/ssh/ssh2/'], why: 'its internals are checked at load, in one place' },
  {
    name: '@noble/',
    only: ['src/crypto/', 'test/'],
    why: 'crypto is one room; in tests it is the second opinion',
  },
  {
    name: '@peculiar/x509',
    only: ['src/control/relay/'],
    why: 'certificates are made in one place',
  },
  {
    name: 'reflect-metadata',
    only: ['src/control/relay/'],
    why: 'what @peculiar/x509 does not load without',
  },
  {
    name: 'prom-client',
    only: ['src/control/metrics/'],
    why: 'rooms count; one place writes it down for Prometheus',
  },
  {
    name: 'sax',
    only: ['src/protocol/disco/upnp/'],
    why: 'what a stranger’s XML may hold is limited in one place',
  },
  {
    name: 'qr',
    only: ['src/qr-modules.ts', 'test/'],
    why: 'what is drawn of it is ours (cli/qr.ts)',
  },
  { name: 'commander', only: ['src/cli/'], why: 'no other room has a command line' },
  { name: 'esbuild', only: ['scripts/'], why: 'the bundler is no part of the product' },
  { name: 'assemblyscript', only: ['scripts/'], why: 'the compiler is no part of the product' },
  { name: 'tap', only: ['test/'], why: 'the product knows no test' },
];

const BUILTINS: ReadonlySet<string> = new Set(builtinModules);

/** Below src/, the room of a file; undefined for a folder that the table does not know. */
export function roomOf(path: string): Room | undefined {
  const below = path.replace(/^src\//, '');
  const fits = ROOMS.filter(({ room }) =>
    room === '' ? !below.includes('/') : below === room || below.startsWith(`${room}/`),
  );
  return fits.sort((a, b) => b.room.length - a.room.length)[0];
}

export const importLaw: Law = (tree) =>
  tree
    .filter(({ path }) => /^(src|scripts|test)\/.*\.ts$/.test(path))
    .flatMap((file) => importsOf(file.text).flatMap((one) => judge(file, one)));

export const roomLaw: Law = (tree) =>
  tree
    .filter(({ path }) => /^src\/.*\.ts$/.test(path) && roomOf(path) === undefined)
    .map(({ path }) => ({
      file: path,
      line: 1,
      found: 'in a folder that is no room',
      why: 'each room has its row in test/laws/rooms.ts and ARCHITECTURE.md',
    }));

type One = ReturnType<typeof importsOf>[number];

function judge(file: TreeFile, one: One): readonly Violation[] {
  const { specifier, line } = one;
  const said = (found: string, why: string): readonly Violation[] => [
    { file: file.path, line, found, why },
  ];
  const inSrc = file.path.startsWith('src/');
  if (specifier === undefined)
    return inSrc ? said('a computed import', 'neither a bundler nor a law can follow it') : [];
  if (specifier.startsWith('.') || specifier.startsWith('/'))
    return inSrc ? judgeOurs(file, one, specifier, said) : [];
  if (specifier.startsWith('node:') || BUILTINS.has(specifier)) {
    const pure = inSrc ? roomOf(file.path)?.pure : undefined;
    if (one.typeOnly || pure === undefined || pure.includes(specifier)) return [];
    return said(specifier, `${roomOf(file.path)?.room} is pure: I/O lives in linux/ and store/`);
  }
  const row = PACKAGES.find(({ name }) =>
    name.endsWith('/') ? specifier.startsWith(name) : `${specifier}/`.startsWith(`${name}/`),
  );
  if (row === undefined) return said(specifier, 'a package has a row in test/laws/rooms.ts');
  if (row.only.some((place) => file.path.startsWith(place))) return [];
  return said(specifier, `only in ${row.only.join(', ')}: ${row.why}`);
}

function judgeOurs(
  file: TreeFile,
  one: One,
  specifier: string,
  said: (found: string, why: string) => readonly Violation[],
): readonly Violation[] {
  const room = roomOf(file.path);
  const target = posix.join(posix.dirname(file.path), specifier);
  if (!target.startsWith('src/')) return said(specifier, 'the product needs src/ alone');
  const to = target.slice('src/'.length);
  const inside = (rooms: readonly string[]): boolean =>
    rooms.some((name) => to === name || to.startsWith(`${name}/`));
  if (room === undefined || room === roomOf(target)) return [];
  if (inside(room.may) || (one.typeOnly && inside(room.mayTypes ?? []))) return [];
  if (inside(['linux']) && JOINERS.some((joiner) => `src/${joiner.file}` === file.path)) return [];
  const allowed = [...room.may, ...(room.mayTypes ?? []).map((name) => `${name} (types)`)];
  const list = allowed.length > 0 ? allowed.join(', ') : 'no other room';
  return said(`imports ${to}`, `${room.room || 'main'} may import ${list}: ${room.why}`);
}
