/** An AEAD that puts all off to the last moment that its contract allows, and lets nothing pass that was not settled. */

import type { NodeCryptoAead } from '../src/crypto/aead-node.ts';
import type { AeadName, BulkAead } from '../src/node/dataplane/ports.ts';
import { OPENED_AT_ONCE } from '../src/node/dataplane/ports.ts';

export class DeferredAead implements BulkAead {
  readonly name: AeadName = 'openssl-batch';
  readonly #aead: NodeCryptoAead;
  #sealing: (() => void)[] = [];
  #opening: (() => boolean)[] = [];
  #genuine: readonly boolean[] = [];

  constructor(aead: NodeCryptoAead) {
    this.#aead = aead;
  }

  seal(...datagram: Parameters<BulkAead['seal']>): void {
    this.#sealing.push(() => this.#aead.seal(...datagram));
  }

  open(...datagram: Parameters<BulkAead['open']>): number {
    if (this.#opening.length === OPENED_AT_ONCE) throw new Error('more than may be opened at once');
    this.#opening.push(() => this.#aead.open(...datagram) >= 0);
    // In place.
    return datagram[1] + 16;
  }

  settle(): void {
    for (const seal of this.#sealing) seal();
    this.#sealing = [];
    if (this.#opening.length === 0) return;
    this.#genuine = this.#opening.map((open) => open());
    this.#opening = [];
  }

  forged(index: number): boolean {
    const genuine = this.#genuine[index];
    if (genuine === undefined) throw new Error('asked for before it was settled');
    return !genuine;
  }

  startBatch(): void {
    if (this.#opening.length > 0) throw new Error('some are not opened yet');
    this.#genuine = [];
  }

  forget(keyAt: number): void {
    this.settle();
    this.#aead.forget(keyAt);
  }
}
