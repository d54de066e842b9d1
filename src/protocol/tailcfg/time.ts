/**
 * Instants and durations as Go's JSON writes them.
 *
 *     instant    2026-11-23T06:50:03.652Z    RFC 3339, any number of fraction digits, Z or an offset
 *     unset      0001-01-01T00:00:00Z        year 1 or before: no time at all, and never one of the past
 *     duration   60000000000                 nanoseconds
 *
 * Days are counted by civil years that begin in March, so that a leap day is the last of its year.
 */

import { BugError } from '../../base/errors.ts';
import type { Millis, UnixMillis } from '../../base/time.ts';
import { unixMillis } from '../../base/time.ts';

/** What Go writes for a time that nobody set. */
export const UNSET_TIME = '0001-01-01T00:00:00Z';

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,30})?(?:Z|[+-]\d\d:\d\d)$/;
const DAY_SECONDS = 86_400;
/** Days of 400 years, and of the years before 1970 counted from March of year 0. */
const ERA_DAYS = 146_097;
const EPOCH_DAYS = 719_468;
const LAST_TIME = 253_402_300_799_999;
const FIRST_TIME = -62_135_596_800_000;

/** The instant, `unset`, or undefined where Go would refuse the text. What is below a millisecond is cut off. */
export function parseTime(text: string): UnixMillis | 'unset' | undefined {
  if (!TIME.test(text)) return undefined;
  const [year, month, day] = [digitsAt(text, 0, 4), digitsAt(text, 5, 2), digitsAt(text, 8, 2)];
  if (month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return undefined;
  const [hour, minute] = [digitsAt(text, 11, 2), digitsAt(text, 14, 2)];
  const second = digitsAt(text, 17, 2);
  const zone = text.endsWith('Z') ? undefined : text.length - 5;
  const zoneHour = zone === undefined ? 0 : digitsAt(text, zone, 2);
  const zoneMinute = zone === undefined ? 0 : digitsAt(text, zone + 3, 2);
  if (hour > 23 || minute > 59 || second > 59 || zoneHour > 23 || zoneMinute > 59) return undefined;
  if (year <= 1) return 'unset';
  const west = zone !== undefined && text[zone - 1] === '-';
  const offset = (west ? -60 : 60) * (zoneHour * 60 + zoneMinute);
  const seconds = hour * 3600 + minute * 60 + second - offset;
  const days = dayNumber(year, month, day);
  return unixMillis((days * DAY_SECONDS + seconds) * 1000 + millisOf(text));
}

/** @throws BugError for an instant outside of the years 1 to 9999, which the form cannot say */
export function formatTime(instant: UnixMillis): string {
  if (!(instant >= FIRST_TIME && instant <= LAST_TIME))
    throw new BugError(`${instant} ms is an instant outside of the years 1 to 9999`);
  const millis = Math.floor(instant);
  const days = Math.floor(millis / (DAY_SECONDS * 1000));
  const ofDay = millis - days * DAY_SECONDS * 1000;
  const [year, month, day] = civil(days);
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const clock = `${two(ofDay / 3_600_000)}:${two((ofDay / 60_000) % 60)}:${two((ofDay / 1000) % 60)}`;
  const fraction = String(ofDay % 1000).padStart(3, '0');
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${clock}.${fraction}Z`;
}

/** A duration as Go's JSON has it. */
export const nanoseconds = (duration: Millis): number => Math.round(duration * 1e6);

/** The number of the `count` digits at `at`. */
function digitsAt(text: string, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) value = value * 10 + text.charCodeAt(i) - 48;
  return value;
}

/** Of the fraction behind the seconds: `.5` are 500. */
function millisOf(text: string): number {
  const fraction = /^\.(\d{1,3})/.exec(text.slice(19));
  return Number((fraction?.[1] ?? '').padEnd(3, '0'));
}

function daysOf(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

/** Days since 1970-01-01. */
function dayNumber(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const m = (month + 9) % 12;
  const leaps = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400);
  // Months from March have 31 30 31 30 31 days, twice: 153 in five.
  return 365 * y + leaps + Math.floor((153 * m + 2) / 5) + day - 1 - EPOCH_DAYS;
}

function civil(days: number): [year: number, month: number, day: number] {
  const fromMarch = days + EPOCH_DAYS;
  const era = Math.floor(fromMarch / ERA_DAYS);
  const ofEra = fromMarch - era * ERA_DAYS;
  const leapless =
    ofEra -
    Math.floor(ofEra / 1460) +
    Math.floor(ofEra / 36_524) -
    Math.floor(ofEra / (ERA_DAYS - 1));
  const yearOfEra = Math.floor(leapless / 365);
  const ofYear =
    ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const m = Math.floor((5 * ofYear + 2) / 153);
  const month = m < 10 ? m + 3 : m - 9;
  const day = ofYear - Math.floor((153 * m + 2) / 5) + 1;
  return [era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day];
}
