/**
 * A network of this machine's own making: hosts are network namespaces, cables are veth pairs. Nothing of it
 * touches the machine's own network, and nothing of it stays.
 *
 *     await using lab = await Lab.create('roaming');
 *     const a = await lab.host('a');                       namespace postern-<pid>-<n>-roaming-a
 *     const r = await lab.host('router');
 *     const b = await lab.host('b');
 *     await lab.link(a, r, { a: ['10.0.0.2/24'], b: ['10.0.0.1/24'] });       eth0 -- eth0
 *     const out = await lab.link(r, b, { a: ['1.1.1.1/24'], b: ['1.1.1.2/24'] });  eth1 -- eth0
 *     await a.ip('route add default via 10.0.0.1');
 *     await r.nat(out.a, 'hard');
 *     const server = b.start(['iperf3', '-s']);            ended with the lab
 *     await server.says(/listening/);
 *     console.log((await a.run(['iperf3', '-c', '1.1.1.2', '-t', '1'])).stdout);
 *
 * Interfaces are called eth0, eth1 and so on in the order of their making, in each host. An IPv6 address is
 * usable at once (no duplicate address detection). A host has its own addresses, routes, nft rules, ports
 * and abstract sockets; files and path sockets (also those of WireGuard's userspace interface) are shared by
 * all, so they need unique names.
 *
 * What is cleaned up: all of it at `close`, at exit and at SIGINT, SIGTERM and SIGHUP (after which the
 * process ends by that signal); and by the next `create` of anybody, what a killed run left behind. Needs
 * root, iproute2 and, for NAT and counters, nft.
 */

import type { Result, RunOptions, StartOptions } from './child.ts';
import { Child, run } from './child.ts';
import { labName, remove, sweepAtExit, sweepDead } from './leavings.ts';

/** One end of a cable. */
export interface Plug {
  readonly host: Host;
  /** `eth0` and so on, in its host. */
  readonly interface: string;
}

export interface Cable {
  readonly a: Plug;
  readonly b: Plug;
}

export interface CableOptions {
  /** Addresses with their prefix length, of either family. */
  readonly a?: readonly string[];
  readonly b?: readonly string[];
  /** Of both ends; default 1500. */
  readonly mtuBytes?: number;
}

/**
 * `easy`: one outside port for an inside one, whoever it talks to, as long as ports are free. `hard`: a new
 * random port for each destination, so that no third party can tell it.
 */
export type NatKind = 'easy' | 'hard';

/** A machine of the lab: one network namespace. */
export class Host {
  readonly name: string;
  readonly namespace: string;
  readonly children: Child[] = [];
  #interfaces = 0;
  #counters = 0;

  /** Made by `Lab.host`. */
  constructor(name: string, namespace: string) {
    this.name = name;
    this.namespace = namespace;
  }

  /**
   * Runs a program to its end.
   *
   * @throws Error quoting its output, where it fails (unless `check` is false) or takes too long
   */
  run(argv: readonly string[], options?: RunOptions): Promise<Result> {
    return run(this.inside(argv), options);
  }

  /** Starts a program that goes on; it is ended with the lab. Its pid is the program's own. */
  start(argv: readonly string[], options: StartOptions = {}): Child {
    const name = `${this.name}: ${options.name ?? argv[0]}`;
    const child = new Child(this.inside(argv), { ...options, name });
    this.children.push(child);
    return child;
  }

  /** The command line that runs `argv` in here, for who starts it in a way of their own. */
  inside(argv: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.namespace, ...argv];
  }

  /** Every process inside, daemons too. */
  async pids(): Promise<number[]> {
    const { stdout } = await run(['ip', 'netns', 'pids', this.namespace]);
    return stdout.split('\n').filter(Boolean).map(Number);
  }

  /** Lines for `ip`, for instance `addr add 10.0.0.1/24 dev eth0`, done in order up to one that fails. */
  async ip(...lines: readonly string[]): Promise<void> {
    await run(['ip', '-n', this.namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  /** Rules for `nft -f`. */
  async nft(rules: string): Promise<void> {
    await this.run(['nft', '-f', '-'], { input: rules });
  }

  async sysctl(key: string, value: string | number): Promise<void> {
    await this.run(['sysctl', '-qw', `${key}=${value}`]);
  }

  /** Forwards packets of both families. */
  async forward(): Promise<void> {
    await this.sysctl('net.ipv4.ip_forward', 1);
    await this.sysctl('net.ipv6.conf.all.forwarding', 1);
  }

  /** Makes it a router that hides everybody behind the address of `outside`. */
  async nat(outside: Plug, kind: NatKind): Promise<void> {
    await this.forward();
    await this.nft(`
      table inet lab-nat {
        chain postrouting {
          type nat hook postrouting priority srcnat
          oifname "${outside.interface}" masquerade ${kind === 'hard' ? 'random,fully-random' : ''}
        }
      }`);
  }

  /**
   * Counts packets from now on.
   *
   * @param hook `input` and `output` for its own packets, `forward` for those that pass through
   * @param match nft's own words, for instance `udp sport 51820 ip daddr 10.0.0.9`
   */
  async count(hook: 'input' | 'output' | 'forward', match: string): Promise<Counter> {
    const name = `c${this.#counters++}`;
    await this.nft(`
      table inet lab-count {
        counter ${name} { }
        chain ${hook} {
          type filter hook ${hook} priority -300
          ${match} counter name ${name}
        }
      }`);
    return new Counter(this, name);
  }

  /** The next free interface name. */
  nextInterface(): string {
    return `eth${this.#interfaces++}`;
  }
}

/** An nft counter. */
export class Counter {
  readonly #host: Host;
  readonly #name: string;

  constructor(host: Host, name: string) {
    this.#host = host;
    this.#name = name;
  }

  async read(): Promise<{ packets: number; bytes: number }> {
    const argv = ['nft', 'list', 'counter', 'inet', 'lab-count', this.#name];
    const { stdout } = await this.#host.run(argv);
    const found = /packets (\d+) bytes (\d+)/.exec(stdout);
    if (!found) throw new Error(`nft: no figures in ${stdout}`);
    return { packets: Number(found[1]), bytes: Number(found[2]) };
  }

  async packets(): Promise<number> {
    return (await this.read()).packets;
  }
}

export class Lab {
  readonly name: string;
  readonly hosts: Host[] = [];
  readonly #reports: (() => Promise<string>)[] = [];
  readonly #closers: (() => void | Promise<void>)[] = [];

  private constructor(name: string) {
    this.name = name;
  }

  /** @param name for people; lowercase letters, digits and hyphens. Labs of one name do not collide. */
  static async create(name: string): Promise<Lab> {
    if (!/^[a-z0-9-]{1,40}$/.test(name)) throw new Error(`lab: not a name: ${name}`);
    sweepDead();
    sweepAtExit();
    return new Lab(labName(name));
  }

  /** A new machine with nothing but a loopback interface. */
  async host(name: string): Promise<Host> {
    const host = new Host(name, `${this.name}-${name}`);
    await run(['ip', 'netns', 'add', host.namespace]);
    this.hosts.push(host);
    await host.ip('link set lo up');
    // Not every kernel has both families' switches under `default` alone.
    await host.sysctl('net.ipv6.conf.default.accept_dad', 0);
    await host.sysctl('net.ipv6.conf.all.accept_dad', 0);
    return host;
  }

  /** A cable between two hosts, plugged in and up. */
  async link(a: Host, b: Host, options: CableOptions = {}): Promise<Cable> {
    const cable: Cable = {
      a: { host: a, interface: a.nextInterface() },
      b: { host: b, interface: b.nextInterface() },
    };
    await run([
      ...['ip', 'link', 'add', cable.a.interface, 'netns', a.namespace, 'type', 'veth'],
      ...['peer', 'name', cable.b.interface, 'netns', b.namespace],
    ]);
    await setUp(cable.a, options.a ?? [], options.mtuBytes ?? 1500);
    await setUp(cable.b, options.b ?? [], options.mtuBytes ?? 1500);
    return cable;
  }

  /**
   * A switch with one port for each host.
   *
   * @returns the hosts' plugs in the order given; taking down the port of `cable.b` unplugs that host alone
   */
  async bridge(name: string, members: readonly (readonly [Host, ...string[]])[]): Promise<Cable[]> {
    const middle = await this.host(name);
    await middle.ip('link add br0 type bridge', 'link set br0 up');
    const cables: Cable[] = [];
    for (const [host, ...addresses] of members) {
      const cable = await this.link(host, middle, { a: addresses });
      await middle.ip(`link set ${cable.b.interface} master br0`);
      cables.push(cable);
    }
    return cables;
  }

  /** Adds to what a failed test shows. */
  onReport(report: () => Promise<string>): void {
    this.#reports.push(report);
  }

  /** Called at `close`, before the processes end, the latest first. */
  onClose(closer: () => void | Promise<void>): void {
    this.#closers.unshift(closer);
  }

  /** All that a person wants to see after a failure: the added reports and the output of every child. */
  async report(): Promise<string> {
    const parts: string[] = [];
    for (const report of this.#reports)
      parts.push(await report().catch((error) => `no report: ${error}`));
    for (const { name, pid, ending, output } of this.hosts.flatMap((host) => host.children)) {
      const state = ending ? `ended with ${ending.signal ?? ending.code}` : 'running';
      parts.push(`--- ${name} (pid ${pid}, ${state})\n${output}`);
    }
    return parts.join('\n');
  }

  async close(): Promise<void> {
    try {
      for (const closer of this.#closers.splice(0)) await closer();
    } finally {
      await Promise.all(this.hosts.flatMap((host) => host.children).map((child) => child.stop()));
      for (const { namespace } of this.hosts.splice(0)) remove(namespace);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

async function setUp(plug: Plug, addresses: readonly string[], mtuBytes: number): Promise<void> {
  await plug.host.ip(
    `link set ${plug.interface} mtu ${mtuBytes} up`,
    ...addresses.map((address) =>
      `addr add ${address} dev ${plug.interface} ${address.includes(':') ? 'nodad' : ''}`.trimEnd(),
    ),
  );
}
