/**
 * Errors by what the caller should do. A hostile packet is none of these: it is a counter.
 *
 *     BugError      stop; the program contradicts itself
 *     ConfigError   a person must change something, and the text says what
 *     NetError      try again later
 *     DeniedError   the asker has no right to this
 */

export class BugError extends Error {
  override readonly name = 'BugError';
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

export class NetError extends Error {
  override readonly name = 'NetError';
}

export class DeniedError extends Error {
  override readonly name = 'DeniedError';
}

/** The end of an exhaustive switch: a value that the types say cannot be. */
export function unreachable(value: never): never {
  throw new BugError(`unexpected value ${JSON.stringify(value)}`);
}
