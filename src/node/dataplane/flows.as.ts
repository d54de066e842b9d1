/**
 * The flow table: who may answer whom. Buckets of 8 entries of 64 bytes; a flow lives in the bucket that
 * its hash names and nowhere else, so that looking and replacing stay within 512 bytes.
 *
 *      0  local address 16    16  remote address 16
 *     32  ports 4 | protocol 1 | family 1, 0 for a free entry | marks 1 | unused 1
 *     40  last seen, seconds     44  generation of the rules that let it in
 *     48  in a bucket's first entry: 16 bits of each entry's hash; else unused
 *
 *     marks    1 OUT: our side began it    2 IN: a rule let it in    4 ANSWERED: both sides were heard
 *
 * A flow is OUT or IN for as long as it is known. The hash is NH (Black, Halevi, Krawczyk, Krovetz, Rogaway,
 * UMAC, 1999) over secret keys: without them nobody can choose flows that meet in one bucket.
 */

import { be16 } from './checksum.as';
import { ICMP, ICMP6, INCOMING, TCP, UDP, lengthHolds, local, remote, talk } from './packet.as';

export const OUT: u8 = 1;
export const IN: u8 = 2;
export const ANSWERED: u8 = 4;

const WAYS: u32 = 8;
const FLOW_BITS: u32 = 6;
const BUCKET_BITS: u32 = 9;
const KEY_MASK: u64 = 0x0000_ffff_ffff_ffff;

/** Seconds of silence after which a flow is forgotten. */
const IDLE_TCP: u32 = 7200;
const IDLE_TCP_UNANSWERED: u32 = 300;
const IDLE_ICMP: u32 = 30;
const IDLE_OTHER: u32 = 180;
/** Nothing is forgotten sooner. */
const IDLE_LEAST: u32 = 30;

let flows: usize = 0;
let bucketMask: u32 = 0;
let localKeys: v128 = i64x2.splat(0);
let remoteKeys: v128 = i64x2.splat(0);
let portsKey: u32 = 0;
let protocolKey: u32 = 0;
let evicted: u32 = 0;

/** The flow of the packet before; packets come in runs. */
let lastFlow: usize = 0;
/** Where the packet's flow belongs, told by `find`. */
let bucket: usize = 0;
let tag: u16 = 0;

export function startFlows(flowsAt: usize, count: u32, seed: u64): void {
  flows = flowsAt;
  lastFlow = flowsAt;
  bucketMask = count / WAYS - 1;
  evicted = 0;
  localKeys = i64x2.replace_lane(i64x2.splat(keyOf(seed, 1)), 1, keyOf(seed, 2));
  remoteKeys = i64x2.replace_lane(i64x2.splat(keyOf(seed, 3)), 1, keyOf(seed, 4));
  portsKey = <u32>keyOf(seed, 5);
  protocolKey = <u32>keyOf(seed, 6);
}

/** The i-th output of SplitMix64. */
function keyOf(seed: u64, i: u64): u64 {
  let z = seed + i * 0x9e37_79b9_7f4a_7c15;
  z = (z ^ (z >> 30)) * 0xbf58_476d_1ce4_e5b9;
  z = (z ^ (z >> 27)) * 0x94d0_49bb_1331_11eb;
  return z ^ (z >> 31);
}

export function evictedFlows(): u32 {
  return evicted;
}

/** The entry of the flow last read (packet.as.ts), 0 where it is not known or has been silent for too long. */
// @ts-ignore: decorator
@inline
export function findFlow(now: u32): usize {
  return isFlow(lastFlow) && !expired(lastFlow, now) ? lastFlow : find(now);
}

/**
 * The entry of the packet before, where this one is a plain TCP or UDP packet of the same flow; 0: it must be
 * read and looked for. Halves the time of a packet in a run. Differences are gathered, since each branch of
 * its own cost more than the loads that it might save.
 */
// @ts-ignore: decorator
@inline
export function sameFlow(at: usize, length: u32, way: u32, now: u32): usize {
  const flow = lastFlow;
  const source = way == INCOMING ? flow + 16 : flow;
  const target = way == INCOMING ? flow : flow + 16;
  const first: u32 = load<u8>(at);
  const ipBytes: u32 = first == 0x45 ? 20 : 40;
  const transport = at + ipBytes;
  if (length < ipBytes + 20) return 0;
  const ports = load<u32>(transport);
  let differs = load<u32>(flow, 32) ^ (way == INCOMING ? rotl<u32>(ports, 16) : ports);
  let spoken: u32;
  let bytes: u32;
  if (first == 0x45) {
    spoken = load<u8>(at, 9);
    bytes = be16(at + 2) - 20;
    differs |= <u32>load<u16>(flow, 36) ^ spoken ^ (4 << 8);
    differs |= <u32>load<u16>(at, 6) & 0xff3f;
    differs |= load<u32>(at, 12) ^ load<u32>(source);
    differs |= load<u32>(at, 16) ^ load<u32>(target);
  } else {
    spoken = load<u8>(at, 6);
    bytes = be16(at + 4);
    differs |= <u32>load<u16>(flow, 36) ^ spoken ^ (6 << 8);
    differs |= (first >> 4) ^ 6;
    const addresses = v128.or(
      v128.xor(v128.load(at, 8), v128.load(source)),
      v128.xor(v128.load(at, 24), v128.load(target)),
    );
    differs |= <u32>v128.any_true(addresses);
  }
  // A length below the header's comes out huge.
  if (differs != 0 || bytes > length - ipBytes || bytes < 20) return 0;
  if (spoken != TCP && spoken != UDP) return 0;
  if (!lengthHolds(transport, bytes, spoken == TCP)) return 0;
  return expired(flow, now) ? 0 : flow;
}

function find(now: u32): usize {
  const h = hash();
  bucket = flows + ((<usize>(h >> 32) & bucketMask) << BUCKET_BITS);
  tag = <u16>(h >> 16);
  let found = i16x8.bitmask(i16x8.eq(v128.load(bucket, 48), i16x8.splat(tag)));
  while (found != 0) {
    const entry = bucket + (ctz(found) << FLOW_BITS);
    if (isFlow(entry) && !expired(entry, now)) {
      lastFlow = entry;
      return entry;
    }
    found &= found - 1;
  }
  return 0;
}

// @ts-ignore: decorator
@inline
function hash(): u64 {
  const a = i32x4.add(local, localKeys);
  const b = i32x4.add(remote, remoteKeys);
  const sum = i64x2.add(i64x2.extmul_low_i32x4_u(a, b), i64x2.extmul_high_i32x4_u(a, b));
  let h = <u64>i64x2.extract_lane(sum, 0) + <u64>i64x2.extract_lane(sum, 1);
  h += <u64>(<u32>talk + portsKey) * <u64>(<u32>(talk >> 32) + protocolKey);
  h = (h ^ (h >> 32)) * 0x9e37_79b9_7f4a_7c15;
  return h ^ (h >> 29);
}

// @ts-ignore: decorator
@inline
function isFlow(entry: usize): bool {
  if ((load<u64>(entry, 32) & KEY_MASK) != talk) return false;
  const differs = v128.or(
    v128.xor(v128.load(entry), local),
    v128.xor(v128.load(entry, 16), remote),
  );
  return !v128.any_true(differs);
}

// @ts-ignore: decorator
@inline
function expired(entry: usize, now: u32): bool {
  const idle = now - load<u32>(entry, 40);
  return idle > IDLE_LEAST && idle > idleLimit(entry);
}

function idleLimit(entry: usize): u32 {
  const spoken: u32 = load<u8>(entry, 36);
  if (spoken == TCP) return load<u8>(entry, 38) & ANSWERED ? IDLE_TCP : IDLE_TCP_UNANSWERED;
  return spoken == ICMP || spoken == ICMP6 ? IDLE_ICMP : IDLE_OTHER;
}

/** Enters the flow last looked for and not found. */
export function addFlow(mark: u8, generation: u32, now: u32): void {
  const way = freeWay(now);
  const entry = bucket + (way << FLOW_BITS);
  store<u16>(bucket + (way << 1), tag, 48);
  v128.store(entry, local);
  v128.store(entry, remote, 16);
  store<u64>(entry, talk | (<u64>mark << 48), 32);
  store<u32>(entry, now, 40);
  store<u32>(entry, generation, 44);
  lastFlow = entry;
}

/**
 * A way of the bucket that is free. Where all are taken, the longest silent goes; of those that were never
 * answered first, so that a scan cannot push out a session at rest.
 */
function freeWay(now: u32): u32 {
  let way: u32 = 0;
  let longest: u64 = 0;
  for (let i: u32 = 0; i < WAYS; i++) {
    const entry = bucket + (i << FLOW_BITS);
    if (load<u8>(entry, 37) == 0 || expired(entry, now)) return i;
    const unanswered = <u64>((load<u8>(entry, 38) & ANSWERED) ^ ANSWERED) << 32;
    const silence = unanswered | <u64>(now - load<u32>(entry, 40));
    if (silence >= longest) {
      longest = silence;
      way = i;
    }
  }
  evicted++;
  return way;
}

/** Marks the flow as seen now, and as answered where this packet goes against the one that began it. */
// @ts-ignore: decorator
@inline
export function touchFlow(entry: usize, opposite: u8, now: u32): void {
  store<u32>(entry, now, 40);
  const marks = load<u8>(entry, 38);
  if ((marks & (opposite | ANSWERED)) == opposite) store<u8>(entry, marks | ANSWERED, 38);
}
