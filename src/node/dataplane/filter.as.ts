/**
 * The packet filter: what comes by the tunnel passes if it belongs to a flow that our side began, or if a
 * rule (rules.ts) lets it in. The rules are asked for the first packet of a flow and again after they have
 * changed; a flow they let in once and no longer do is cut, and our side's answers do not revive it.
 *
 *     in:    known OUT, or IN of this generation ........................ passes
 *            ICMP error about a packet of such a flow, to its sender ..... passes
 *            first fragment                        as a whole packet, and is remembered
 *            later fragment                        passes if its first one did, and came before it
 *            else                                  the rules
 *     out:   a flow not known ..................... enters as OUT
 *
 * What the rules refuse leaves no trace, so that a scan costs its own time and none of our room.
 *
 *     scratch    32 fragments of 48 bytes: local 16 | remote 16 | identification 4 |
 *                protocol (0 for IPv6) and family 4, 0 for free | seen 4, seconds | unused 4
 */

import {
  IN,
  OUT,
  addFlow,
  evictedFlows,
  findFlow,
  sameFlow,
  startFlows,
  touchFlow,
} from './flows.as';
import {
  DROP_FRAGMENT,
  DROP_RULES,
  ERROR,
  FIRST,
  FLOW,
  INCOMING,
  LATER,
  OUTGOING,
  QUOTED,
  answer,
  family,
  fragment,
  fragmentId,
  hasPorts,
  kind,
  local,
  localPort,
  protocol,
  quotedAt,
  quotedBytes,
  readPacket,
  remote,
} from './packet.as';

const RULE_BYTES: usize = 64;
const FRAGMENTS: u32 = 32;
const FRAGMENT_BYTES: u32 = 48;
/** How long Linux keeps an incomplete packet (ipfrag_time). */
const FRAGMENT_SECONDS: u32 = 30;

let rules: usize = 0;
let rulesEnd: usize = 0;
let generation: u32 = 0;
let fragments: usize = 0;

/** `flowsAt` holds zeros, or what an earlier start with the same seed has left. */
export function filterStart(
  rulesAt: usize,
  flowsAt: usize,
  flowCount: u32,
  scratchAt: usize,
  seedLow: u32,
  seedHigh: u32,
): void {
  rules = rulesAt;
  rulesEnd = rulesAt;
  generation = 0;
  fragments = scratchAt;
  forgetFragments();
  startFlows(flowsAt, flowCount, (<u64>seedHigh << 32) | seedLow);
}

export function filterRules(count: u32, newGeneration: u32): void {
  rulesEnd = rules + <usize>count * RULE_BYTES;
  generation = newGeneration;
  forgetFragments();
}

export function filterEvicted(): u32 {
  return evictedFlows();
}

export function filterOut(at: usize, length: u32, now: u32): void {
  const same = sameFlow(at, length, OUTGOING, now);
  if (same == 0) return readAndRemember(at, length, now);
  touchFlow(same, IN, now);
}

export function filterIn(at: usize, length: u32, now: u32): u32 {
  const same = sameFlow(at, length, INCOMING, now);
  if (same == 0 || !passes(same)) return readAndJudge(at, length, now);
  touchFlow(same, OUT, now);
  return 0;
}

function readAndRemember(at: usize, length: u32, now: u32): void {
  if (readPacket(at, length, OUTGOING) != 0) return;
  if (fragment == LATER || kind != FLOW) return;
  const flow = findFlow(now);
  if (flow != 0) touchFlow(flow, IN, now);
  else if (!answer) addFlow(OUT, 0, now);
}

function readAndJudge(at: usize, length: u32, now: u32): u32 {
  const reason = readPacket(at, length, INCOMING);
  if (reason != 0) return reason;
  if (fragment == LATER) return findFragment(now) == 0 ? DROP_FRAGMENT : 0;
  if (kind == ERROR) {
    if (quotesFlow(now)) return 0;
    readPacket(at, length, INCOMING);
  }
  const verdict = kind == FLOW ? judgeFlow(now) : judge();
  if (fragment == FIRST && verdict == 0) rememberFragment(now);
  return verdict;
}

// @ts-ignore: decorator
@inline
function judgeFlow(now: u32): u32 {
  const flow = findFlow(now);
  if (flow == 0) {
    const verdict = judge();
    if (verdict == 0 && !answer) addFlow(IN, generation, now);
    return verdict;
  }
  if (!passes(flow)) {
    if (judge() != 0) return DROP_RULES;
    store<u32>(flow, generation, 44);
  }
  touchFlow(flow, OUT, now);
  return 0;
}

// @ts-ignore: decorator
@inline
function passes(flow: usize): bool {
  return (load<u8>(flow, 38) & OUT) != 0 || load<u32>(flow, 44) == generation;
}

/** Whether the ICMP error last read is about a flow that passes, and goes to that flow's local side. */
function quotesFlow(now: u32): bool {
  const target = local;
  const targetFamily = family;
  if (readPacket(quotedAt, quotedBytes, QUOTED) != 0) return false;
  if (fragment == LATER || kind != FLOW || family != targetFamily) return false;
  if (v128.any_true(v128.xor(target, local))) return false;
  const flow = findFlow(now);
  return flow != 0 && passes(flow);
}

/** What the rules say of the packet last read. Its facts become locals: globals are read anew each time. */
function judge(): u32 {
  const end = rulesEnd;
  const ours = local;
  const theirs = remote;
  const source = <u32>i32x4.extract_lane(theirs, 0);
  const target = <u32>i32x4.extract_lane(ours, 0);
  const ofFamily = family;
  const ofProtocol = protocol;
  // A protocol without ports is in every range.
  const port = hasPorts ? localPort() : 0;
  const portless: u32 = hasPorts ? 0 : 0xffff;
  for (let rule = rules; rule < end; rule += RULE_BYTES) {
    const head = load<u32>(rule);
    const ruleFamily = head & 0xff;
    if (ruleFamily != 0 && ruleFamily != ofFamily) continue;
    const ruleProtocol = (head >> 8) & 0xff;
    if (ruleProtocol != 0 && ruleProtocol != ofProtocol) continue;
    const range = load<u32>(rule, 4);
    if ((port | portless) < (range & 0xffff) || port > range >> 16) continue;
    if (ruleFamily == 0) return 0;
    const sourceBits = (head >> 16) & 0xff;
    const targetBits = head >> 24;
    if (ruleFamily == 4) {
      if (!inside4(rule + 16, source, sourceBits)) continue;
      if (inside4(rule + 32, target, targetBits)) return 0;
    } else if (inside6(rule + 16, theirs, sourceBits) && inside6(rule + 32, ours, targetBits)) {
      return 0;
    }
  }
  return DROP_RULES;
}

// @ts-ignore: decorator
@inline
function inside4(prefix: usize, address: u32, bits: u32): bool {
  return <u64>bswap<u32>(load<u32>(prefix) ^ address) >> (32 - bits) == 0;
}

// @ts-ignore: decorator
@inline
function inside6(prefix: usize, address: v128, bits: u32): bool {
  const high = bswap<u64>(load<u64>(prefix) ^ <u64>i64x2.extract_lane(address, 0));
  if (bits <= 64) return bits == 0 || high >> (64 - bits) == 0;
  const low = bswap<u64>(load<u64>(prefix, 8) ^ <u64>i64x2.extract_lane(address, 1));
  return high == 0 && low >> (128 - bits) == 0;
}

function forgetFragments(): void {
  memory.fill(fragments, 0, FRAGMENTS * FRAGMENT_BYTES);
}

/** IPv6 knows a packet by addresses and identification alone (RFC 8200 4.5). */
// @ts-ignore: decorator
@inline
function fragmentKey(): u64 {
  const belongs = (family == 4 ? protocol : 0) | (family << 8);
  return <u64>fragmentId | (<u64>belongs << 32);
}

/** The first fragment remembered for the later one last read, or 0. */
function findFragment(now: u32): usize {
  const key = fragmentKey();
  for (let i: u32 = 0; i < FRAGMENTS; i++) {
    const entry = fragments + i * FRAGMENT_BYTES;
    if (load<u64>(entry, 32) != key || now - load<u32>(entry, 40) > FRAGMENT_SECONDS) continue;
    const differs = v128.or(
      v128.xor(v128.load(entry), local),
      v128.xor(v128.load(entry, 16), remote),
    );
    if (!v128.any_true(differs)) return entry;
  }
  return 0;
}

function rememberFragment(now: u32): void {
  let entry = findFragment(now);
  if (entry == 0) entry = oldestFragment(now);
  v128.store(entry, local);
  v128.store(entry, remote, 16);
  store<u64>(entry, fragmentKey(), 32);
  store<u32>(entry, now, 40);
}

function oldestFragment(now: u32): usize {
  let oldest = fragments;
  let longest: u32 = 0;
  for (let i: u32 = 0; i < FRAGMENTS; i++) {
    const entry = fragments + i * FRAGMENT_BYTES;
    if (load<u64>(entry, 32) == 0) return entry;
    const age = now - load<u32>(entry, 40);
    if (age >= longest) {
      longest = age;
      oldest = entry;
    }
  }
  return oldest;
}
