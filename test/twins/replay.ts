/** The replay window as a set: a counter is taken once, if it is not more than 16,352 behind the greatest. */

const BEHIND = 16_352n;

export class ReplayTwin {
  private readonly seen = new Set<bigint>();
  private greatest = -1n;

  accept(counter: bigint): boolean {
    if (counter === 0xffff_ffff_ffff_ffffn) return false;
    if (counter + BEHIND < this.greatest || this.seen.has(counter)) return false;
    this.seen.add(counter);
    if (counter > this.greatest) this.greatest = counter;
    return true;
  }
}
