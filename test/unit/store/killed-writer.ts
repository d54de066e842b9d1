/** A process that a test kills: it makes 200 changes and prints each one's number once it is acknowledged. */

import { writeSync } from 'node:fs';
import { countLedger, countsOf, openStore, raise } from './open-store.ts';

const CHANGES = 200;

const path = process.argv[2] as string;
const store = await openStore(path);
const ledger = countLedger(store, countsOf(store.rows));
writeSync(1, 'ready\n');
for (let i = 0; i < CHANGES; ) {
  const group = Math.min(1 + (i % 5), CHANGES - i);
  const made = Array.from({ length: group }, async (_, j) => {
    await ledger.change(raise(`change ${i + j}`));
    writeSync(1, `${i + j}\n`);
  });
  await Promise.all(made);
  i += group;
}
await ledger.close();
await store.close();
