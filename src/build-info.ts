/** Which build this is. The bundler replaces POSTERN_BUILD by a JSON text; from source it does not exist. */

import { readFileSync } from 'node:fs';

declare const POSTERN_BUILD: string | undefined;

/**
 * No clock that is right is before this: a release moves it on. A constant, since the same tree gives the same
 * bytes. 2026-11-01T00:00Z in Unix milliseconds.
 */
export const BUILT_AFTER: number = Date.UTC(2026, 10, 1);

export interface BuildInfo {
  readonly version: string;
  readonly koffi: string;
  readonly commit?: string;
}

export function buildInfo(): BuildInfo {
  if (typeof POSTERN_BUILD === 'string') return JSON.parse(POSTERN_BUILD) as BuildInfo;
  const { version, dependencies } = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
  ) as { version: string; dependencies: Record<string, string> };
  return { version, koffi: dependencies['koffi'] as string };
}
