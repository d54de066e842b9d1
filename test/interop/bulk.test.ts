/**
 * 300 MB with SHA-256 through every way that the data plane has, half of it in each direction, with today's
 * wireguard-go at the other end. One wrong byte, one segment out of place, and the sums differ.
 */

import type { ImplementationOptions } from '../netns/implementations.ts';
import { isMissing, UNDER_TEST } from '../netns/implementations.ts';
import { makePair, transfer } from '../netns/pair.ts';
import { labTest } from '../netns/suite.ts';

const HALF_BYTES: number = 150 * 1000 * 1000;
/** node:crypto needs some 20 us for a packet, so half a minute is no failure but its nature. */
const TIMEOUT_MS = 60_000;

interface Variant {
  readonly name: string;
  readonly options: ImplementationOptions;
  /** What ours says at its start, so that a variant is what it is called. */
  readonly says?: RegExp;
  /** Not a multiple of 16, or of 4: other ways through the kernels. Default 1420. */
  readonly mtuBytes?: number;
}

const VARIANTS: readonly Variant[] = [
  { name: 'as it comes', options: {}, says: /aead=openssl-batch / },
  { name: 'raw OpenSSL', options: { arguments: ['--aead', 'raw'] }, says: /aead=openssl-raw / },
  { name: 'EVP', options: { arguments: ['--aead', 'evp'] }, says: /aead=openssl-evp / },
  { name: 'node:crypto', options: { arguments: ['--aead', 'node'] }, says: /aead=node-crypto / },
  { name: 'no offload on the TUN device', options: { arguments: ['--no-offload'] } },
  { name: 'no GSO on the sockets', options: { arguments: ['--no-gso'] } },
  { name: 'neither', options: { arguments: ['--no-offload', '--no-gso'] } },
  { name: 'EVP without offloads', options: { arguments: ['--aead', 'evp', '--no-offload'] } },
  { name: 'at an MTU of 1,391', options: {}, mtuBytes: 1391 },
];

for (const { name, options, says, mtuBytes } of VARIANTS) {
  // Only ours knows these arguments.
  if (UNDER_TEST !== 'ours' && options.arguments) continue;
  labTest(
    `bulk: 300 MB arrive as they were sent, ${name}`,
    { skip: isMissing(UNDER_TEST, 'current'), timeoutMs: TIMEOUT_MS },
    async (t, lab) => {
      const { a, b } = await makePair(lab, [UNDER_TEST, 'current'], {
        a: options,
        ...(mtuBytes !== undefined && { mtuBytes }),
      });
      if (says) t.match(a.tunnel.child.output, says);
      for (const [from, to] of [[a, b] as const, [b, a] as const]) {
        const sent = await transfer(from, to, to.inner[0], HALF_BYTES, TIMEOUT_MS);
        t.match(sent, { bytes: HALF_BYTES, receivedSha256: sent.sentSha256 });
        const megabits = (HALF_BYTES * 8) / 1e6 / sent.seconds;
        t.comment(`${name}: ${from.implementation} sends, ${Math.round(megabits)} Mbit/s`);
      }
    },
  );
}
