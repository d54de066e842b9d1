/**
 * The kernels, ready to work: compiled from kernels.as.ts by scripts/kernels.ts, instantiated on the arena's
 * memory. Each thread has an instance of its own, with its own pending packet and filter settings.
 */

import type { Kernels } from './ports.ts';

/** As the module exports them: WASM knows no booleans. */
type Exports = {
  readonly [Name in keyof Kernels]: Kernels[Name] extends (...args: infer Args) => infer Result
    ? (...args: Numbers<Args>) => Result extends boolean ? number : Result
    : never;
};
type Numbers<Args> = { [Index in keyof Args]: Args[Index] extends boolean ? number : Args[Index] };

/**
 * @param wasm the bytes of dist/kernels.wasm
 * @throws Error where they are not the kernels that this program was built with
 */
export function loadKernels(wasm: Uint8Array, memory: WebAssembly.Memory): Kernels {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(wasm), { env: { memory } });
  const raw = instance.exports as Exports;
  const kernels: Kernels = {
    checksum: raw.checksum,
    completeChecksum: raw.completeChecksum,
    segment: (to, from, ipBytes, headerBytes, payloadAt, payloadBytes, index, last, udp) =>
      raw.segment(
        to,
        from,
        ipBytes,
        headerBytes,
        payloadAt,
        payloadBytes,
        index,
        last ? 1 : 0,
        udp ? 1 : 0,
      ),
    copyPacket: raw.copyPacket,
    replayAccept: (windowAt, counterLow, counterHigh) =>
      raw.replayAccept(windowAt, counterLow, counterHigh) !== 0,
    groStart: (scratchAt, iovecsAt, vnetAt, arenaBase, uso) =>
      raw.groStart(scratchAt, iovecsAt, vnetAt, arenaBase, uso ? 1 : 0),
    groAdd: (at, lengthBytes) => raw.groAdd(at, lengthBytes) !== 0,
    groFinish: raw.groFinish,
    filterStart: raw.filterStart,
    filterRules: raw.filterRules,
    filterOut: raw.filterOut,
    filterIn: raw.filterIn,
    filterEvicted: raw.filterEvicted,
  };
  for (const name of Object.keys(kernels) as (keyof Kernels)[])
    if (typeof raw[name] !== 'function')
      throw new Error(`kernels.wasm has no '${name}': it is of another build; run the build again`);
  return kernels;
}
