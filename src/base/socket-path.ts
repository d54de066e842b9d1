/** How long the path of a unix socket may be. */

/** 108 bytes with their zero (unix(7)), less the `.new` of one that is being made (store/socket-place.ts). */
const MAX_BYTES = 103;

/** What is wrong with the path, and what to do; undefined where it can be. */
export function socketPathFault(path: string): string | undefined {
  const bytes = new TextEncoder().encode(path).length;
  if (bytes <= MAX_BYTES) return undefined;
  return `${path} is ${bytes} bytes long, and a socket's path has ${MAX_BYTES} at most; use a shorter one`;
}
