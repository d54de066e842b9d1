/**
 * Capability versions: the one number by which a client says what it understands, in the clear before the
 * handshake, hashed by it, and again in every request. It only grows, so an unknown one is treated as the newest.
 *
 *     client   1.80  1.86  1.88  1.90  1.92  1.96  1.98  1.102
 *     number    113   123   125   130   131   133   138    142
 *
 * Source: the numbers that released clients send (1.80.0 and 1.102.3 were seen).
 */

/** 1.80, the oldest client that is served; what older ones need (legacy keys, DERP strings) is left out. */
export const CAPABILITY_FLOOR = 113;

/**
 * What a node of ours says. From 121 on peers take a node for a relay client of their own kind, from 144 on
 * for one that announces its disco key inside the tunnel; it is neither.
 */
export const OWN_CAPABILITY = 119;

/** From here on warnings come as DisplayMessages; before, as lines of Health. */
export const DISPLAY_MESSAGES_SINCE = 117;

/** From here on a register answered by 429 and Retry-After is tried again when it says. */
export const RETRY_AFTER_SINCE = 137;

export const isServed = (version: number): boolean => version >= CAPABILITY_FLOOR;

/** What a client below the floor is told; its user reads it. */
export function tooOld(version: number): string {
  return `this client is too old (capability version ${version}); 1.80 (${CAPABILITY_FLOOR}) or newer is needed`;
}
