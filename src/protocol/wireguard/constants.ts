/**
 * WireGuard's numbers. The first part is the paper's (sections 5.4 and 6.1) and must not be changed, since
 * both ends count on them; the second part is ours, or upstream's practice where it says so.
 */

import type { Millis } from '../../base/time.ts';
import { millis, seconds } from '../../base/time.ts';

/** The initiator makes a new keypair when it sends under one of this age. */
export const REKEY_AFTER_TIME: Millis = seconds(120);
/** Nothing is sent or taken under a keypair of this age. */
export const REJECT_AFTER_TIME: Millis = seconds(180);
/** A handshake that has had no answer for so long is given up. */
export const REKEY_ATTEMPT_TIME: Millis = seconds(90);
/** No answer to an initiation for so long: another one. */
export const REKEY_TIMEOUT: Millis = seconds(5);
/** Who received data and sent nothing for so long says that it is alive. */
export const KEEPALIVE_TIMEOUT: Millis = seconds(10);
/** Life of a cookie, and of the secret it is made with. */
export const COOKIE_TIME: Millis = seconds(120);
/** Messages after which the initiator makes a new keypair. */
export const REKEY_AFTER_MESSAGES: number = 2 ** 60;

/** All keys of a peer are wiped when the newest is so old. */
export const WIPE_AFTER_TIME: Millis = seconds(3 * 180);
/** Data sent and nothing heard for so long: the keypair may be dead at the other end. */
export const SILENCE_TIME: Millis = seconds(10 + 5);
/** An initiator that receives under a keypair with no more than so long to live renews it. */
export const LAST_MINUTE_TIME: Millis = seconds(180 - 10 - 5);

/** Retries are spread by less than this, so that two ends do not keep meeting (upstream's). */
export const MAX_JITTER: Millis = millis(334);
/** Initiations of one peer nearer to each other than this are dropped as a flood (upstream's). */
export const INITIATION_INTERVAL: Millis = millis(20);
/** Handshake messages of one address while under load (upstream's). */
export const RATE_PER_SECOND = 20;
export const RATE_BURST = 5;
