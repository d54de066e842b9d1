/** How Node is started in the single executable, and in part where tests and benchmarks run the source. */

/** 1 MB, which holds the main thread's memory down: after 400 `wg show`, 25 MB of the process's own against 30. */
export const SMALL_YOUNG_GENERATION = '--max-semi-space-size=1';

/**
 * Node's own flags of the single executable, fixed: the environment cannot add to them (NODE_OPTIONS), since the program
 * may run as root. SIGUSR1 would open a debugger's port on loopback, to every user of the machine. The control
 * server collects garbage when it is at rest (src/control/upkeep/thread-memory.ts), and a start what it has left
 * (src/linux/malloc.ts), hence --expose-gc; V8's own idea of that is 30 ms of five threads half a minute after each
 * thread's start, hence no memory reducer. A WASM kernel that is compiled when it is first called takes 0.2 ms of
 * somebody's first packet, so all are compiled at the start (from source that would be 0.3 s for Node's own WASM).
 */
export const NODE_FLAGS: readonly string[] = [
  SMALL_YOUNG_GENERATION,
  '--expose-gc',
  '--no-memory-reducer',
  '--disable-sigusr1',
  '--no-wasm-lazy-compilation',
];
