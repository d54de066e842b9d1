/**
 * Clock, timers, chance and log of the real process, as the rooms are given them.
 *
 *     POSTERN_LOG        least level that is logged
 *     POSTERN_LOG_FILE   where a process in the background logs; nowhere without it
 *     LOG_LEVEL          the same as POSTERN_LOG in wireguard-go's words: verbose, error, silent
 */

import { fstatSync, openSync, writeSync } from 'node:fs';
import type { Env } from './base/env.ts';
import { ConfigError } from './base/errors.ts';
import type { Log, LogLevel } from './base/log.ts';
import { lineLog } from './base/log.ts';
import type { Millis } from './base/time.ts';
import { unixMillis } from './base/time.ts';
import { chance } from './chance.ts';
import { LOG_LEVELS } from './cli/wireguard.ts';

/** The longest delay that setTimeout takes. */
const MAX_DELAY_MILLIS = 2 ** 31 - 1;

type Level = LogLevel | 'silent';

export function realEnv(now: () => Millis, log: Log): Env {
  const setTimer = (at: Millis, action: () => void): (() => void) => {
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const left = at - now();
      if (left > MAX_DELAY_MILLIS) timer = setTimeout(arm, MAX_DELAY_MILLIS);
      else timer = setTimeout(action, Math.max(0, Math.ceil(left)));
    };
    arm();
    return () => clearTimeout(timer);
  };
  return {
    now,
    wall: () => unixMillis(Date.now()),
    random: chance(),
    setTimer,
    log,
  };
}

/** A line that cannot be written is lost: a full disk or a closed pipe must not end the tunnel. */
export function makeLog(level: Level, background: boolean): Log {
  const file = background ? process.env['POSTERN_LOG_FILE'] : undefined;
  if (level === 'silent' || (background && file === undefined)) return lineLog(() => {}, 'error');
  const to = file === undefined ? 1 : openSync(file, 'a', 0o600);
  const write = (line: string): void => {
    try {
      writeSync(to, line);
    } catch {}
  };
  return lineLog(write, level, to === 1 && journalReadsUs());
}

/** JOURNAL_STREAM names device and inode of the stream that journald reads (systemd.exec(5)). */
function journalReadsUs(): boolean {
  const { dev, ino } = fstatSync(1);
  return process.env['JOURNAL_STREAM'] === `${dev}:${ino}`;
}

/** @throws ConfigError for a level that does not exist */
export function environmentLevel(): Level {
  const wanted = process.env['POSTERN_LOG'];
  if (wanted !== undefined) {
    const level = LOG_LEVELS.find((known) => known === wanted);
    if (level !== undefined) return level;
    throw new ConfigError(`POSTERN_LOG: wanted one of ${LOG_LEVELS.join(', ')}, found '${wanted}'`);
  }
  switch (process.env['LOG_LEVEL']) {
    case 'verbose':
    case 'debug':
      return 'debug';
    case 'error':
      return 'error';
    case 'silent':
      return 'silent';
    default:
      return 'info';
  }
}
