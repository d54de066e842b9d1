/**
 * A machine's sleep, as far as one of its programs can tell: the program stands still, and when it goes on, the clock
 * that counts sleep (CLOCK_BOOTTIME) has gone on, and the one that does not (CLOCK_MONOTONIC) has stood still as well.
 * The C library's clock_gettime of that program is ours, and adds what stands in a file.
 */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SOURCE = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static int (*real)(clockid_t, struct timespec *);
static volatile long *slept;

__attribute__((constructor)) static void start(void) {
  real = dlsym(RTLD_NEXT, "clock_gettime");
  const char *path = getenv("POSTERN_SLEPT_SECONDS");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void *page = fd < 0 ? MAP_FAILED : mmap(0, 2 * sizeof *slept, PROT_READ, MAP_SHARED, fd, 0);
  slept = page == MAP_FAILED ? 0 : page;
}

int clock_gettime(clockid_t clock, struct timespec *to) {
  if (!real) start();
  int result = real(clock, to);
  if (result == 0 && clock == CLOCK_BOOTTIME && slept) to->tv_sec += slept[0];
  if (result == 0 && clock == CLOCK_MONOTONIC && slept) to->tv_sec -= slept[1];
  return result;
}
`;

export class SleptClock {
  /** For the program's environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;
  #ahead = 0n;
  #behind = 0n;

  /** @param folder for its files */
  constructor(folder: string) {
    this.#file = join(folder, 'slept-seconds');
    const library = join(folder, 'slept-clock.so');
    execFileSync('gcc', ['-shared', '-fPIC', '-O2', '-o', library, '-x', 'c', '-', '-ldl'], {
      input: SOURCE,
    });
    this.#write();
    this.env = { LD_PRELOAD: library, POSTERN_SLEPT_SECONDS: this.#file };
  }

  /**
   * The machine has slept. Whole seconds; while the program stands still.
   *
   * @param stoodSeconds how long the program stood still, by the real clock
   */
  slept(seconds: number, stoodSeconds: number): void {
    this.#ahead += BigInt(seconds - stoodSeconds);
    this.#behind += BigInt(stoodSeconds);
    this.#write();
  }

  /** In place, for the program has it mapped. */
  #write(): void {
    const seconds = BigInt64Array.of(this.#ahead, this.#behind);
    writeFileSync(this.#file, new Uint8Array(seconds.buffer), {
      flag: this.#ahead === 0n ? 'w' : 'r+',
    });
  }
}
