/**
 * Flags as scripts write them that were made for another program, whose language lets a flag have its yes or no
 * behind it:
 *
 *     --accept-dns=false   -> --no-accept-dns        --json=true   -> --json
 *     --json=false         -> (nothing)
 */

/** Those whose no is another than their absence. */
const PAIRED: ReadonlySet<string> = new Set([
  'accept-dns',
  'accept-routes',
  'advertise-exit-node',
  'exit-node-allow-lan-access',
  'peers',
  'qr',
  'self',
  'shields-up',
  'snat-subnet-routes',
  'until-direct',
]);
const SINGLE: ReadonlySet<string> = new Set([
  '1',
  '4',
  '6',
  'active',
  'force-reauth',
  'icmp',
  'json',
  'reset',
  'tsmp',
  'verbose',
]);

/** What stands behind `--` is left alone. */
export function withoutGoFlags(words: readonly string[]): string[] {
  const end = words.indexOf('--');
  const ours = end < 0 ? words : words.slice(0, end);
  return [...ours.flatMap(plain), ...(end < 0 ? [] : words.slice(end))];
}

function plain(word: string): string[] {
  const [, name = '', value] = /^--([a-z0-9-]+)=(true|false)$/.exec(word) ?? [];
  if (PAIRED.has(name)) return [value === 'true' ? `--${name}` : `--no-${name}`];
  if (SINGLE.has(name)) return value === 'true' ? [`--${name}`] : [];
  return [word];
}
