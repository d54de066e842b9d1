/** What strangers may have of the server: connections, sessions, time, memory. */

export interface Limits {
  /** Connections that are neither answered nor upgraded, in all and of one address. */
  readonly young: number;
  readonly youngOfAddress: number;
  /** Sessions of machines that are no members. A login that waits for a person holds one for an hour. */
  readonly strangers: number;
  readonly strangersOfAddress: number;
  /** A stock client has one, and two for a moment. */
  readonly sessionsOfMachine: number;
  /** Handshakes of one address: a burst, and how many a second; each costs 0.3 ms. */
  readonly handshakes: Rate;
  /** Logins that one address opens for persons to approve; a thousand would push out everybody's. */
  readonly logins: Rate;
  /** Bytes of request bodies that are being read, in all. */
  readonly bodyBytes: number;
}

export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

export const LIMITS: Limits = {
  young: 1024,
  youngOfAddress: 256,
  strangers: 2048,
  strangersOfAddress: 512,
  sessionsOfMachine: 8,
  handshakes: { burst: 4000, perSecond: 200 },
  logins: { burst: 100, perSecond: 1 },
  bodyBytes: 32 * 1024 * 1024,
};

/** Requests of one session: a burst, and how many a second. */
export const REQUESTS: Rate = { burst: 200, perSecond: 20 };

/** All below in ticks of the sweep, which are seconds while the event loop is not held up. */
export const TICK_MILLIS = 1000;
/** From the first byte to an answer or the upgrade. */
export const YOUNG_TICKS = 15;
/** From the upgrade to the first record, which proves that the machine has its key. */
export const PROOF_TICKS = 10;
/** Of a request's body. */
export const BODY_TICKS = 15;
/** A session without a request. */
export const IDLE_STRANGER_TICKS = 30;
export const IDLE_MEMBER_TICKS = 120;
/** A client that has a long poll is asked for a sign of life after this, and has as long again. */
export const PING_TICKS = 5;
/** From GOAWAY to the end, when the server stops. */
export const LEAVE_MILLIS = 1000;
