/** Allowed IPs as a plain list, on addresses written as strings of bits. */

import type { Prefix } from '../../src/base/prefix.ts';

const bitText = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');

export class AllowedIpsList {
  /** `family:bits` of each prefix, and its owner. */
  readonly #owners = new Map<string, { readonly prefix: Prefix; peer: number }>();

  insert(prefix: Prefix, peer: number): number {
    const former = this.#owners.get(key(prefix))?.peer ?? -1;
    this.#owners.set(key(prefix), { prefix, peer });
    return former;
  }

  remove(prefix: Prefix, peer: number): boolean {
    return this.#owners.get(key(prefix))?.peer === peer && this.#owners.delete(key(prefix));
  }

  removePeer(peer: number): void {
    for (const { prefix } of this.entries(peer)) this.remove(prefix, peer);
  }

  entries(peer: number): { prefix: Prefix; text: string }[] {
    return [...this.#owners]
      .filter(([, owner]) => owner.peer === peer)
      .map(([text, { prefix }]) => ({ prefix, text }))
      .sort((a, b) => (a.text < b.text ? -1 : 1));
  }

  lookup(address: Uint8Array): number {
    const whole = `${address.length === 4 ? 4 : 6}:${bitText(address)}`;
    let best = '';
    for (const text of this.#owners.keys())
      if (whole.startsWith(text) && text.length > best.length) best = text;
    return this.#owners.get(best)?.peer ?? -1;
  }
}

/** Sorts as a trie is walked: IPv4 first, then by bits, a prefix before what it holds. */
function key({ address, bits }: Prefix): string {
  return `${address.length === 4 ? 4 : 6}:${bitText(address).slice(0, bits)}`;
}
