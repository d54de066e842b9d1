/**
 * What of the system others change, for the router: networks and packet filters, by the kernel's word. A kernel that
 * says nothing of filters has them looked at each minute.
 */

import type { Env } from './base/env.ts';
import type { Millis } from './base/time.ts';
import { after, seconds } from './base/time.ts';
import type { Native } from './linux/ffi.ts';
import { watchFilter } from './linux/filter-watch.ts';
import { watchNetwork } from './linux/network-watch.ts';
import type { NetworkChange } from './node/router/ports.ts';

const FILTER_LOOK: Millis = seconds(60);

export function watchOf(
  native: Native,
  env: Env,
): (onChange: (kind: NetworkChange) => void) => () => void {
  return (onChange) => {
    const ends = new DisposableStack();
    const network = watchNetwork(native, env, onChange);
    ends.defer(() => network.close());
    const changed = (): void => onChange('filter');
    try {
      const filter = watchFilter(native, changed);
      ends.defer(() => filter.close());
    } catch (error) {
      env.log.debug('router: the kernel does not tell of packet filters', {
        reason: (error as Error).message,
      });
      ends.defer(everyMinute(env, changed));
    }
    return () => ends.dispose();
  };
}

function everyMinute(env: Env, action: () => void): () => void {
  let cancel = (): void => {};
  const arm = (): void => {
    cancel = env.setTimer(after(env.now(), FILTER_LOOK), () => {
      action();
      arm();
    });
  };
  arm();
  return () => cancel();
}
