/**
 * Programs of the system that set what we would have to speak netlink for: run by argument list, without a shell,
 * at start and on changes only.
 */

import { spawn } from 'node:child_process';
import { ConfigError, NetError } from '../base/errors.ts';

/** Started by systemd or by hand, with whatever environment: the program of the system is meant. */
const SEARCH_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * @param debianPackage that has the program
 * @throws ConfigError where it is not there, NetError where it cannot be run; a failure of its own is in the result
 */
export function runProgram(
  program: string,
  debianPackage: string,
  args: readonly string[],
  input: string,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { PATH: SEARCH_PATH, LC_ALL: 'C' } });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    // It may end before it has read all of its input.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT')
        reject(
          new ConfigError(
            `the program '${program}' is not there: install the package ${debianPackage}`,
          ),
        );
      else reject(new NetError(`cannot run '${program}': ${error.message}`, { cause: error }));
    });
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
