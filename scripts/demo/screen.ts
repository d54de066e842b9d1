/**
 * What a person sees of the demo. Commands and their output stand apart from what we say about them; colour
 * only where standard output is a terminal and NO_COLOR does not forbid it.
 */

import { styleText } from 'node:util';

/** A titled part of the story. */
export function part(title: string): void {
  console.log(`\n${styleText('bold', title)}`);
}

/** One aligned line: who, and what holds now. */
export function fact(who: string, what: string): void {
  console.log(`  ${styleText('cyan', who.padEnd(12))} ${what}`);
}

/** A command as it is being run, with the prompt of the host it runs on. */
export function command(host: string, line: string): void {
  console.log(`\n  ${styleText('green', `${host}$`)} ${line}`);
}

/** What a command really printed. */
export function printed(text: string): void {
  for (const line of text.trimEnd().split('\n')) console.log(`  ${line}`.trimEnd());
}

export function plain(text: string): void {
  console.log(text);
}

export function good(text: string): void {
  console.log(`\n${styleText(['bold', 'green'], text)}`);
}

export function bad(text: string): void {
  console.log(`\n${styleText(['bold', 'red'], text)}`);
}
