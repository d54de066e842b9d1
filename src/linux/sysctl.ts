/**
 * The kernel's switches, files below /proc/sys. A key is the path there, `net/ipv4/ip_forward`: not with dots,
 * which names of interfaces may have too.
 */

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { BugError, ConfigError } from '../base/errors.ts';

const ROOT = '/proc/sys';

/** The value without white space around it; undefined where the kernel has no such switch. */
export async function readSysctl(key: string): Promise<string | undefined> {
  try {
    return (await readFile(pathOf(key), 'utf8')).trim();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw refused('read', key, error);
  }
}

/** False where the kernel has no such switch. @throws ConfigError where it is refused */
export async function writeSysctl(key: string, value: string): Promise<boolean> {
  try {
    await writeFile(pathOf(key), `${value}\n`, { flag: 'r+' });
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw refused(`set ${value} in`, key, error);
  }
}

/** Names in a folder of switches, such as the interfaces of `net/ipv4/conf`; none where there is no folder. */
export async function listSysctl(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(pathOf(folder));
  } catch (error) {
    if (isMissing(error)) return [];
    throw refused('list', folder, error);
  }
}

function pathOf(key: string): string {
  if (!/^net(\/[^/\0]+)+$/.test(key) || key.split('/').some((part) => /^\.\.?$/.test(part)))
    throw new BugError(`sysctl: '${key}' is no key`);
  return `${ROOT}/${key}`;
}

/** An interface that goes while its folder is read gives ENODEV or EINVAL in places. */
function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENODEV' || code === 'ENOTDIR';
}

function refused(what: string, key: string, error: unknown): ConfigError {
  const { code, message } = error as NodeJS.ErrnoException;
  const why =
    code === 'EROFS'
      ? '/proc/sys is read-only here, as in most containers'
      : code === 'EACCES' || code === 'EPERM'
        ? 'the program has no right to (run it as root or by its unit)'
        : message;
  return new ConfigError(`cannot ${what} ${ROOT}/${key}: ${why}`, { cause: error });
}
