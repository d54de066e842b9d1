/** A socket for datagrams of the unix family, as a service manager has one; Node has none of that kind. */

import { SOCKET, STRUCT } from '../../../src/linux/abi.ts';
import type { Native } from '../../../src/linux/ffi.ts';
import { block } from '../../../src/linux/memory.ts';

const MOST_BYTES = 4096;

export class UnixDatagrams {
  readonly #native: Native;
  readonly #fd: number;
  readonly #memory;

  /** @param path `@name` for an abstract one */
  constructor(native: Native, path: string) {
    const { AF_UNIX, SOCK_DGRAM, SOCK_CLOEXEC, SOCK_NONBLOCK } = SOCKET;
    this.#native = native;
    this.#memory = block(native, MOST_BYTES);
    this.#fd = native.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const text = Buffer.from(path.replace(/^@/, '\0'));
    const { sun_path } = STRUCT.sockaddr_un;
    this.#memory.u16[0] = AF_UNIX;
    this.#memory.u8.set(text, sun_path);
    const result = native.bind(this.#fd, this.#memory.address, sun_path + text.length);
    if (this.#fd < 0 || result < 0) throw new Error(`cannot bind ${path}: ${this.#fd}, ${result}`);
  }

  /** What has come since the last call. */
  take(): readonly string[] {
    const { u8, address } = this.#memory;
    const texts: string[] = [];
    for (;;) {
      const bytes = this.#native.read(this.#fd, address, MOST_BYTES);
      if (bytes < 0) return texts;
      texts.push(Buffer.from(u8.subarray(0, bytes)).toString());
    }
  }

  close(): void {
    this.#native.close(this.#fd);
  }
}
