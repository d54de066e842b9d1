/**
 * Durations and instants as a person types them.
 *
 *     30s 15m 1h 90d 2w         a whole number and one unit, up to 100 years
 *     now, never                the two ends
 *     2026-12-01T08:00:00Z      an instant (RFC 3339)
 */

import type { UnixMillis } from '../../base/time.ts';
import { parseTime } from '../tailcfg/time.ts';

const UNIT_MILLIS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};
const MOST_MILLIS = 100 * 365 * 86_400_000;

/** For what refuses another text. */
export const DURATION_FORM = 'a duration like 30m, 1h or 90d';

/** When something ends. */
export type When =
  | { readonly type: 'now' | 'never' }
  | { readonly type: 'in'; readonly millis: number }
  | { readonly type: 'at'; readonly instant: UnixMillis };

/** Milliseconds, more than none; undefined where the text is no duration. */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  const millis = Number(digits) * (UNIT_MILLIS[unit ?? ''] ?? Number.NaN);
  return millis > 0 && millis <= MOST_MILLIS ? millis : undefined;
}

/** Undefined where the text is none of the forms above. */
export function parseWhen(text: string): When | undefined {
  if (text === 'now' || text === 'never') return { type: text };
  const millis = parseDuration(text);
  if (millis !== undefined) return { type: 'in', millis };
  const instant = parseTime(text);
  return instant === undefined || instant === 'unset' ? undefined : { type: 'at', instant };
}
