/**
 * Unpredictable bytes of the real process. Short ones (indices, nonces, jitter) are cut from a stock, as each call of
 * OpenSSL's is one more that a handshake waits for; keys are always drawn by themselves. What has been given out is
 * wiped from the stock.
 */

import { randomBytes, randomFillSync } from 'node:crypto';

const SHORT_BYTES = 24;
const STOCK_BYTES = 1024;

/** @returns a function that gives so many bytes, which are the caller's */
export function chance(): (lengthBytes: number) => Uint8Array {
  const stock = new Uint8Array(STOCK_BYTES);
  let at = STOCK_BYTES;
  return (lengthBytes) => {
    if (lengthBytes > SHORT_BYTES) return new Uint8Array(randomBytes(lengthBytes));
    if (at + lengthBytes > STOCK_BYTES) {
      randomFillSync(stock);
      at = 0;
    }
    const bytes = stock.slice(at, at + lengthBytes);
    stock.fill(0, at, at + lengthBytes);
    at += lengthBytes;
    return bytes;
  };
}
