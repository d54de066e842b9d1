/**
 * The kernels: what the packet loops do to each byte or for each packet, in AssemblyScript, because
 * checksums over whole words and table look-ups in place cost JavaScript four times as much.
 *
 * The module owns no memory. It works on the arena (arena.ts), handed in as the shared `env.memory`; its
 * few own words are WASM globals, one set for each instance, so nothing is written when it is instantiated.
 * That holds as long as no source uses a string, an array, an object or `assert`.
 *
 * Nothing here trusts a packet: each length is checked before what it promises is read.
 */

export { checksum, completeChecksum } from './checksum.as';
export { filterEvicted, filterIn, filterOut, filterRules, filterStart } from './filter.as';
export { groAdd, groFinish, groStart } from './gro.as';
export { replayAccept } from './replay.as';
export { copyPacket, segment } from './segment.as';
