/** `postern version`: what this program is made of. */

import { Command } from 'commander';

/** The names of the JSON output; they stay. */
export interface VersionFacts {
  readonly version: string;
  /** Of the source it was built from; absent where it runs from source. */
  readonly commit?: string;
  readonly node: string;
  readonly openssl: string;
  readonly koffi: string;
  readonly arch: string;
  readonly platform: string;
}

export function versionCommand(facts: () => VersionFacts, print: (text: string) => void): Command {
  return new Command('version')
    .description('say what this program is made of')
    .option('--json', 'as JSON')
    .action((flags: { json?: boolean }) => {
      const { version, ...others } = facts();
      if (flags.json) return print(`${JSON.stringify({ version, ...others })}\n`);
      const rows = Object.entries(others).map(([name, value]) => `  ${name.padEnd(10)}${value}\n`);
      return print(`postern ${version}\n${rows.join('')}`);
    });
}
