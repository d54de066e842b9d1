/**
 * Takes back what a note says, whether its process ends now or has died: rules before routes, so that no rule
 * leads into an empty table; forwarding last. What others at work still use stays.
 */

import { ROUTE_TABLE } from './constants.ts';
import type { Note } from './notes.ts';
import type { Family, RouterPorts } from './ports.ts';
import { isOurs } from './routes.ts';
import { restoreSwitches } from './switches.ts';

/** Every part is tried. @returns what could not be taken back, in words */
export async function undo(
  note: Pick<Note, 'table' | 'routing' | 'mark' | 'switches'>,
  others: readonly Note[],
  { ip, nft, sysctl }: Pick<RouterPorts, 'ip' | 'nft' | 'sysctl'>,
): Promise<string[]> {
  const failures: string[] = [];
  const attempt = async (action: () => Promise<void>): Promise<void> => {
    await action().catch((error: Error) => failures.push(error.message));
  };
  if (note.routing && !others.some(({ routing }) => routing)) {
    const families = await familiesOf(sysctl);
    await attempt(async () => {
      const rules = await ip.policyRules(families);
      await ip.changeRules(
        [],
        rules.filter((rule) => isOurs(rule, note.mark)),
      );
    });
    await attempt(async () =>
      ip.changeTable(ROUTE_TABLE, [], await ip.tableRoutes(ROUTE_TABLE, families)),
    );
  }
  if (!others.some(({ table }) => table === note.table))
    await attempt(() => nft.deleteTable(note.table));
  const used = new Set(others.flatMap(({ switches }) => switches.map(({ key }) => key)));
  const free = note.switches.filter(({ key }) => !used.has(key));
  await attempt(() => restoreSwitches(free, sysctl));
  return failures;
}

/** Of the machine; an interface may still be without IPv6. */
export async function familiesOf(sysctl: RouterPorts['sysctl']): Promise<readonly Family[]> {
  return (await sysctl.listSysctl('net/ipv6/conf')).length === 0 ? [4] : [4, 6];
}
