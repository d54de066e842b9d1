/** The bound of WireGuard's time stamps in its state file, and a health item while that cannot be written. */

import { fromHex, toHex } from './base/bytes.ts';
import type { TimestampStore } from './node/tunnel/ports.ts';
import type { TunnelHealth } from './node/tunnel/tunnel-health.ts';
import type { SafeFile } from './store/safe-file.ts';

export function timestampStore(
  file: SafeFile<string>,
  health: Pick<TunnelHealth, 'boundStored'>,
): TimestampStore {
  return {
    bound: fromHex(file.value ?? '', 12),
    extend: (bound, done) => {
      file.write(toHex(bound)).then(
        () => {
          health.boundStored(undefined);
          done(true);
        },
        (error: Error) => {
          health.boundStored(error.message);
          done(false);
        },
      );
    },
  };
}
