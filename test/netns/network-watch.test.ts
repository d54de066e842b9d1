import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { formatIp } from '../../src/base/ip.ts';
import { formatPrefix } from '../../src/base/prefix.ts';
import { millis } from '../../src/base/time.ts';
import { defaultGateway4, gatewayIn, machineAddresses } from '../../src/linux/addresses.ts';
import { loadNative } from '../../src/linux/ffi.ts';
import { runBatch } from '../../src/linux/ip.ts';
import type { NetworkChange } from '../../src/linux/network-watch.ts';
import { ALL_CHANGES, changesIn, watchNetwork } from '../../src/linux/network-watch.ts';
import { must } from '../must.ts';
import { seeded } from '../seeded.ts';
import { ownNetwork } from '../unit/linux/own-network.ts';

const native = loadNative();
const skip = await ownNetwork(native);

const env = {
  now: () => millis(performance.now()),
  setTimer: (at: number, action: () => void) => {
    const timer = setTimeout(action, at - performance.now());
    return () => clearTimeout(timer);
  },
};

/** One batch; a rule of IPv6, whose family no batch can name, is a command of its own. */
async function ip(...commands: string[]): Promise<void> {
  const [first = ''] = commands;
  if (first.startsWith('-6 ')) execFileSync('ip', first.split(' '));
  else await runBatch(commands.map((command) => command.split(' ')));
}

/**
 * A pair of interfaces, both up; this kernel need not have dummies. Without addresses of the kernel's own: it makes
 * them a second later, when something else is looked at.
 */
const cable = (name: string): string[] => [
  `link add ${name} type veth peer name ${name}b`,
  `link set ${name} addrgenmode none`,
  `link set ${name}b addrgenmode none`,
  `link set ${name}b up`,
  `link set ${name} up`,
];

/** What the watch tells from now on, once all that is under way has been told. */
class Heard {
  readonly #watch = watchNetwork(native, env, (change) => this.#changes.push(change));
  #changes: NetworkChange[] = [];

  async take(): Promise<NetworkChange[]> {
    for (let before = -1; before !== this.#changes.length; ) {
      before = this.#changes.length;
      await sleep(150);
    }
    return this.#changes.splice(0);
  }

  close(): void {
    this.#watch.close();
  }
}

t.test('watch: each kind of change is told, gathered, and once', { skip }, async (t) => {
  const heard = new Heard();
  t.teardown(() => heard.close());
  t.same(await heard.take(), [], 'nothing has changed');
  await ip(...cable('pw0'), 'address add 10.9.0.1/24 dev pw0');
  t.same(new Set(await heard.take()), new Set(['link', 'address', 'route']));
  for (const [command, wanted] of [
    ['address add 10.9.0.2/24 dev pw0', 'address'],
    ['address add fd09::1/64 dev pw0 nodad', 'address'],
    ['route add 10.10.0.0/16 via 10.9.0.9 table 77', 'route'],
    ['route add fd10::/64 dev pw0 table 77', 'route'],
    ['rule add priority 5300 lookup 77', 'rule'],
    ['-6 rule add priority 5300 lookup 77', 'rule'],
    ['route flush table 77', 'route'],
    ['rule del priority 5300', 'rule'],
    ['-6 rule del priority 5300', 'rule'],
    ['link set pw0 down', 'link'],
    ['link del pw0', 'link'],
  ] as const) {
    await ip(command);
    const changes = await heard.take();
    t.ok(changes.includes(wanted), `${command}: ${changes}`);
    // One telling of each kind; the kernel may need two for what it does later by itself (IPv6).
    t.ok(changes.length <= 2 * new Set(changes).size, command);
  }
  heard.close();
  await ip(...cable('pw0'), 'link del pw0');
  t.same(await heard.take(), [], 'closed');
});

t.test(
  'watch: a storm is a few tellings, and what was dropped is told as everything',
  { skip },
  async (t) => {
    const heard = new Heard();
    t.teardown(() => heard.close());
    await ip(...cable('pw0'));
    await heard.take();
    const started = performance.now();
    const flaps = Array.from({ length: 2000 }, (_, i) => `link set pw0 ${i % 2 ? 'up' : 'down'}`);
    await ip(...flaps, 'link del pw0');
    const elapsed = performance.now() - started;
    const changes = await heard.take();
    const most = ALL_CHANGES.length * Math.ceil(elapsed / 50 + 4);
    t.ok(changes.includes('link') && changes.length <= most, `${changes.length} of ${most}`);

    // Nobody reads while the kernel writes: its buffer of 208 KiB runs over.
    await ip(...cable('pw1'));
    await heard.take();
    const block = new Int32Array(new SharedArrayBuffer(4));
    const flood = ip(...flaps.map((command) => command.replace('pw0', 'pw1')));
    Atomics.wait(block, 0, 0, 3000);
    await flood;
    t.same(new Set(await heard.take()), new Set(ALL_CHANGES), 'rules too, though none has changed');
    await ip('link del pw1');
    heard.close();
  },
);

t.test('watch: random bytes are no exception', async (t) => {
  const random = seeded(5);
  for (let round = 0; round < 20_000; round++) changesIn(random.bytes(random.below(64)));
  t.pass('20,000 datagrams');
});

t.test(
  'addresses: those of interfaces that are up, with their networks and scopes',
  { skip },
  async (t) => {
    await ip(...cable('pw0'), 'address add 10.9.3.1/20 dev pw0');
    await ip('address add fd09::1/64 dev pw0 nodad');
    const found = machineAddresses().filter((one) => one.interface === 'pw0');
    t.same(
      found
        .filter(({ scope }) => scope === 0)
        .map(({ address, prefix }) => `${formatIp(address)} ${formatPrefix(prefix)}`)
        .sort(),
      ['10.9.3.1 10.9.0.0/20', 'fd09::1 fd09::/64'],
    );
    t.ok(machineAddresses().some(({ loopback, interface: name }) => loopback && name === 'lo'));
    await ip('link del pw0');
  },
);

t.test('gateway: the router of the default route with the least metric', { skip }, async (t) => {
  t.equal(defaultGateway4(), undefined);
  await ip(...cable('pw0'), 'address add 10.9.0.1/24 dev pw0');
  await ip(...cable('pw1'), 'address add 10.8.0.1/24 dev pw1');
  await ip('route add default dev pw0 metric 5');
  t.equal(defaultGateway4(), undefined, 'a route without a router');
  await ip('route add default via 10.9.0.254 dev pw0 metric 200');
  await ip('route add default via 10.8.0.7 dev pw1 metric 100');
  await ip('route add default via 10.9.0.77 dev pw0 table 77');
  const { address, interface: name } = must(defaultGateway4());
  t.same([formatIp(address), name], ['10.8.0.7', 'pw1']);
  t.equal(defaultGateway4('pw1')?.interface, 'pw0');
  t.equal(gatewayIn('Iface\npw0\t00000000\tzz\t0003\t0\t0\t1\t00000000'), undefined);
  await ip('link del pw0', 'link del pw1');
});
