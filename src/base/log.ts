/**
 * The log: one line an event, `level room: event key=value`, for a reader at a terminal and for journald
 * (whose priority prefix `<4>` is written where `JOURNAL_STREAM` says that it reads us; main decides).
 * Never one line a packet.
 */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type LogFields = Readonly<Record<string, string | number | boolean>>;

export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

const ORDER: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
const PRIORITY = { debug: 7, info: 6, warn: 4, error: 3 } as const satisfies Record<
  LogLevel,
  number
>;

/**
 * A log that hands finished lines to `write`.
 *
 * @param least quieter events are left out
 * @param journal put the syslog priority first (sd-daemon(3))
 */
export function lineLog(write: (line: string) => void, least: LogLevel, journal = false): Log {
  const at =
    (level: LogLevel) =>
    (event: string, fields: LogFields = {}): void => {
      if (ORDER.indexOf(level) < ORDER.indexOf(least)) return;
      const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${fieldText(value)}`);
      const prefix = journal ? `<${PRIORITY[level]}>` : `${level} `;
      write(`${prefix}${event}${pairs.join('')}\n`);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

function fieldText(value: string | number | boolean): string {
  const text = String(value);
  return /^[\w.:/[\]%+=-]+$/.test(text) ? text : JSON.stringify(text);
}
