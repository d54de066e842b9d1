/** Byte strings: joining, comparing, and the two text forms. */

/** One array holding all `parts` in order. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return join(parts);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The whole of a stream, or undefined where it is longer than `most` bytes: then what is left of it is not read. */
export async function collect(
  stream: AsyncIterable<Uint8Array>,
  most: number,
): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of stream) {
    bytes += part.length;
    if (bytes > most) return undefined;
    parts.push(part);
  }
  // Whoever sends byte by byte makes more parts than a call takes arguments.
  return join(parts);
}

/**
 * The same memory as no Buffer. What streams give are Buffers: their `slice` shares memory where others copy, and the
 * first to come by throws away what V8 has compiled for plain arrays, hashes and all.
 */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Equality of public bytes. For secrets use `equalSecret`. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Equality in a time that depends on the length alone. */
export function equalSecret(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}

export function isZero(bytes: Uint8Array): boolean {
  let any = 0;
  for (let i = 0; i < bytes.length; i++) any |= bytes[i] as number;
  return any === 0;
}

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

/** The bytes of a hexadecimal text, or undefined where it is none or has another length. */
export function fromHex(text: string, lengthBytes?: number): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  if (lengthBytes !== undefined && text.length !== lengthBytes * 2) return undefined;
  return Uint8Array.fromHex(text);
}

/** The bytes of a padded standard base64 text, or undefined. */
export function fromBase64(text: string, lengthBytes?: number): Uint8Array | undefined {
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.fromBase64(text, { lastChunkHandling: 'strict' });
  } catch {
    return undefined;
  }
  return lengthBytes === undefined || bytes.length === lengthBytes ? bytes : undefined;
}

export function toBase64(bytes: Uint8Array): string {
  return bytes.toBase64();
}
