/**
 * Suites are tables: cases x subjects, each case in a lab of its own. A subject names who initiates and who
 * responds; a case that fails shows `wg show` of both sides and everything the processes have said.
 */

import type { Test } from 'tap';
import t from 'tap';
import type { ImplementationName } from './implementations.ts';
import { cannotRun, isMissing } from './implementations.ts';
import { Lab } from './lab.ts';
import type { Pair, PairOptions } from './pair.ts';
import { makePair } from './pair.ts';

/** Who initiates (side `a`) and who responds (side `b`). */
export type Subject = readonly [initiator: ImplementationName, responder: ImplementationName];

export interface Case {
  /** A sentence that names the behaviour. */
  readonly name: string;
  /** How its pair is made; by default only `a` knows where the other is, so that it initiates. */
  readonly pair?: PairOptions;
  readonly body: (t: Test, pair: Pair) => Promise<void>;
}

export interface LabTestOptions {
  readonly skip?: string | false;
  /** Default 20,000. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 20_000;

/** A test with a lab, which is gone afterwards. */
export function labTest(
  name: string,
  options: LabTestOptions,
  body: (t: Test, lab: Lab) => Promise<void>,
): void {
  const skip = options.skip || cannotRun();
  void t.test(name, { skip, timeout: options.timeoutMs ?? TIMEOUT_MS }, async (t) => {
    await using lab = await Lab.create(slug(name));
    try {
      await body(t, lab);
    } catch (error) {
      t.comment(await lab.report());
      throw error;
    }
    if (!t.passing()) t.comment(await lab.report());
  });
}

/** Every case for every subject. */
export function runSuite(cases: readonly Case[], subjects: readonly Subject[]): void {
  for (const subject of subjects)
    for (const { name, pair, body } of cases)
      labTest(`${subject.join(' to ')}: ${name}`, { skip: isMissing(...subject) }, async (t, lab) =>
        body(t, await makePair(lab, subject, { initiator: 'a', ...pair })),
      );
}

/** Lab names are short: namespaces show them in `ip netns`. */
function slug(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 30)
    .replace(/^-|-$/g, '');
}
