/**
 * A process in a mount namespace of its own, on a tmpfs of 1 MB that it fills, and later makes read-only; prints
 * what became of each change as one line of JSON.
 */

import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { countLedger, countsOf, openStore, raise } from './open-store.ts';

const folder = process.argv[2] as string;
const mount = (...args: string[]): void => void execFileSync('mount', args);
mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder);

const path = join(folder, 'control.db');
const filler = join(folder, 'filler');
const said: Record<string, unknown> = {};
const outcome = (change: Promise<unknown>): Promise<string> =>
  change.then(
    () => 'saved',
    (error: Error) => `${error.name}: ${error.message}`,
  );

let store = await openStore(path);
let ledger = countLedger(store);
said['before'] = await outcome(ledger.change(raise('a')));
fill();
said['full'] = await outcome(ledger.change(raise('b'.repeat(100_000))));
said['read while full'] = ledger.model['a'];
said['log while full'] = (await store.readLog(10)).length;
rmSync(filler);
said['space again'] = await outcome(ledger.change(raise('a')));

await store.close();
mount('-o', 'remount,ro', folder);
store = await openStore(path);
said['notices at a read-only start'] = store.notices.length;
ledger = countLedger(store, countsOf(store.rows));
said['read at a read-only start'] = ledger.model['a'];
said['change at a read-only start'] = await outcome(ledger.change(raise('a')));
mount('-o', 'remount,rw', folder);
said['writable again'] = await outcome(ledger.change(raise('a')));
await store.close();
store = await openStore(path);
said['at last'] = countsOf(store.rows)['a'];
await store.close();
process.stdout.write(`${JSON.stringify(said)}\n`);

function fill(): void {
  for (let bytes = 512 * 1024; bytes >= 1; bytes >>= 1)
    try {
      for (;;) writeFileSync(filler, new Uint8Array(bytes), { flag: 'a' });
    } catch {
      // That much no longer fits.
    }
}
