/**
 * The first of several addresses that takes a connection: each is tried 200 ms after the one before it, or as
 * soon as that one has failed; the others end.
 *
 *     0 ms      first address   ----------x
 *     200 ms    second                ------> connected
 *     400 ms    third                     not begun
 *
 * Source: RFC 8305, with the one delay that it allows to be chosen.
 */

import type { Socket } from 'node:net';
import { NetError } from '../../base/errors.ts';

const STAGGER_MS = 200;

/**
 * @param connect rejects where the signal ends it, or gives a socket all the same, which is then destroyed
 * @param addresses in the order of trying
 * @throws what the last attempt threw; NetError for no address
 */
export function race(
  addresses: readonly Uint8Array[],
  connect: (address: Uint8Array, signal: AbortSignal) => Promise<Socket>,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((done, fail) => {
    const losers = new AbortController();
    let next = 0;
    let running = 0;
    let over = false;
    let timer: NodeJS.Timeout | undefined;
    let last: unknown = new NetError('there is no address to connect to');
    const end = (): void => {
      over = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      losers.abort();
    };
    const onAbort = (): void => {
      end();
      fail(signal.reason);
    };
    const begin = (): void => {
      clearTimeout(timer);
      const address = addresses[next++];
      if (address === undefined) {
        if (running > 0) return;
        end();
        fail(last);
        return;
      }
      running++;
      timer = setTimeout(begin, STAGGER_MS);
      connect(address, losers.signal).then(
        (socket) => {
          if (over) socket.on('error', () => {}).destroy();
          else {
            end();
            done(socket);
          }
        },
        (error: unknown) => {
          last = error;
          running--;
          if (!over) begin();
        },
      );
    };
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    else begin();
  });
}
