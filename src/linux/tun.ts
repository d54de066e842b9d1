/**
 * A TUN device: one file of /dev/net/tun, on which each read or write is one IP packet.
 *
 *     full    IFF_VNET_HDR, TCP and UDP super-packets both ways (USO: Linux 6.2)      TUNSETOFFLOAD 0x67
 *     tcp     IFF_VNET_HDR, TCP super-packets                                        TUNSETOFFLOAD 0x07
 *     plain   bare packets, no header before them
 *
 * The ladder is tried from the top; a test starts further down. With a header, each packet stands behind a
 * virtio_net_hdr of 10 bytes (abi.ts). The device lives as long as the file, unless someone made it persistent.
 *
 * `openTun` is the main thread's; `tunPort` reads and writes the descriptor on whichever thread owns the arena.
 *
 * Source: the kernel's Documentation/networking/tuntap.rst; TunPort of node/dataplane/ports.ts.
 */

import { ConfigError } from '../base/errors.ts';
import { ERRNO, FILE, STRUCT, TUN } from './abi.ts';
import { Descriptor } from './descriptor.ts';
import { systemError } from './errno.ts';
import type { Native } from './ffi.ts';
import type { SharedMemory } from './memory.ts';
import { block } from './memory.ts';
import type { ReadEach } from './reads.ts';
import { Reads, readEach } from './reads.ts';

export type TunOffload = 'full' | 'tcp' | 'plain';

export interface TunDevice {
  readonly name: string;
  readonly file: Descriptor;
  readonly offload: TunOffload;
}

const DEVICE = '/dev/net/tun';

const LADDER: readonly TunOffload[] = ['full', 'tcp', 'plain'];

const TCP_OFFLOADS = TUN.TUN_F_CSUM | TUN.TUN_F_TSO4 | TUN.TUN_F_TSO6;

const OFFLOADS = {
  full: TCP_OFFLOADS | TUN.TUN_F_USO4 | TUN.TUN_F_USO6,
  tcp: TCP_OFFLOADS,
  plain: 0,
} as const satisfies Record<TunOffload, number>;

/**
 * Makes the device `name`, or takes a persistent one that nobody uses.
 *
 * @param best the first rung to try
 * @throws ConfigError for a name that cannot be, no /dev/net/tun, no right to it, or a name in use
 */
export function openTun(native: Native, name: string, best: TunOffload = 'full'): TunDevice {
  // The kernel takes more, but `%d` makes it choose a name, and the rest breaks wg-quick and people's scripts.
  if (!/^[a-zA-Z0-9_=+.-]{1,15}$/.test(name) || name === '.' || name === '..')
    throw new ConfigError(
      `interface name: wanted 1 to 15 letters, digits or _=+.-, found '${name}'`,
    );
  for (const offload of LADDER.slice(LADDER.indexOf(best))) {
    const file = openAt(native, name, offload);
    if (file !== undefined) return { name, file, offload };
  }
  throw new ConfigError(
    `cannot make the interface ${name}: the kernel takes no kind of TUN device`,
  );
}

/** Undefined where the kernel cannot do this rung. */
function openAt(native: Native, name: string, offload: TunOffload): Descriptor | undefined {
  const flags = FILE.O_RDWR | FILE.O_CLOEXEC | FILE.O_NONBLOCK;
  const opened = native.open(DEVICE, flags, 0);
  if (opened < 0) throw openError(opened);
  const file = new Descriptor(native, opened);
  const header = offload !== 'plain';
  const attached = attach(native, file, name, header);
  if (attached < 0) {
    file.close();
    throw attachError(name, attached);
  }
  // A plain device has no offloads to ask for; one that was persistent may still carry those of before.
  const granted = native.ioctl(file.fd, TUN.TUNSETOFFLOAD, OFFLOADS[offload]);
  if (!header || granted >= 0) return file;
  // A file takes TUNSETIFF once only, so the next rung begins with a new one.
  file.close();
  return undefined;
}

function attach(native: Native, { fd }: Descriptor, name: string, header: boolean): number {
  const request = block(native, STRUCT.ifreq.bytes);
  request.u8.set(new TextEncoder().encode(name), STRUCT.ifreq.ifr_name);
  request.u16[STRUCT.ifreq.ifr_flags >> 1] =
    TUN.IFF_TUN | TUN.IFF_NO_PI | (header ? TUN.IFF_VNET_HDR : 0);
  const attached = native.ioctl(fd, TUN.TUNSETIFF, request.address);
  if (attached < 0 || !header) return attached;
  const size = block(native, 4);
  size.u32[0] = STRUCT.virtio_net_hdr.bytes;
  return native.ioctl(fd, TUN.TUNSETVNETHDRSZ, size.address);
}

function openError(result: number): Error {
  switch (-result) {
    case ERRNO.ENOENT:
    case ERRNO.ENODEV:
    case ERRNO.ENXIO:
      return systemError(
        `open ${DEVICE}`,
        result,
        'the kernel has no TUN driver here; load it (modprobe tun), or give the container the device',
      );
    case ERRNO.EACCES:
    case ERRNO.EPERM:
      return systemError(
        `open ${DEVICE}`,
        result,
        'run as root, or give access to the device file',
      );
    default:
      return systemError(`open ${DEVICE}`, result);
  }
}

function attachError(name: string, result: number): Error {
  const what = `make the interface ${name}`;
  switch (-result) {
    case ERRNO.EBUSY:
      return systemError(
        what,
        result,
        'another program uses it; stop that one or choose another name',
      );
    case ERRNO.EINVAL:
      return systemError(
        what,
        result,
        'an interface of another kind has this name; choose another',
      );
    default:
      return systemError(what, result);
  }
}

/** TunPlaces of node/dataplane/arena.ts. */
export interface TunPlaces {
  readonly at: number;
  readonly strideBytes: number;
  readonly capacityBytes: number;
  readonly count: number;
}

/** Packets of `fd` from and to places of `arena`. The descriptor stays the caller's. @param each how it is read */
export function tunPort(
  native: Native,
  arena: SharedMemory,
  device: { readonly fd: number; readonly offload: TunOffload },
  places: TunPlaces,
  each: ReadEach = readEach(native),
): TunFit {
  return new TunFit(native, arena, device, places, each);
}

export type { TunFit };

/** TunPort of node/dataplane/ports.ts. */
class TunFit {
  readonly vnetHeader: boolean;
  readonly uso: boolean;
  readonly #native: Native;
  readonly #fd: number;
  readonly #base: number;
  readonly #reads: Reads;

  constructor(
    native: Native,
    arena: SharedMemory,
    { fd, offload }: { readonly fd: number; readonly offload: TunOffload },
    places: TunPlaces,
    each: ReadEach,
  ) {
    this.vnetHeader = offload !== 'plain';
    this.uso = offload === 'full';
    this.#native = native;
    this.#fd = fd;
    this.#base = native.addressOf(arena.memory.buffer);
    this.#reads = new Reads(native, fd, { ...places, at: this.#base + places.at }, each);
  }

  get found(): Int32Array {
    return this.#reads.results;
  }

  read(most: number): number {
    return this.#reads.run(most);
  }

  write(iovecsAt: number, count: number): number {
    return this.#native.writev(this.#fd, this.#base + iovecsAt, count);
  }
}
