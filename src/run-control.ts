/**
 * `postern control` around its rooms: the settings file, `--check`, and what the process brings.
 *
 *     POSTERN_CONTROL_...    a setting each (control/settings/settings.ts)
 *     NOTIFY_SOCKET          systemd is told when it is ready (sd_notify(3)); WATCHDOG_USEC how often it wants to hear
 */

import { existsSync, readFileSync } from 'node:fs';
import type { Assets } from './assets.ts';
import type { Env } from './base/env.ts';
import { ConfigError } from './base/errors.ts';
import { unixMillis } from './base/time.ts';
import { BUILT_AFTER } from './build-info.ts';
import type { ControlOptions } from './cli/control.ts';
import { joined, ownRegion } from './control/derp-map/derp-map.ts';
import { DerpMapSources } from './control/derp-map/sources.ts';
import { readCertificate } from './control/relay/certificate-files.ts';
import type { ControlSettings } from './control/settings/settings.ts';
import { readSettings } from './control/settings/settings.ts';
import type { ControlPorts } from './control.ts';
import { runControl } from './control.ts';
import { disk } from './store/safe-file.ts';

const DEFAULT_FILE = '/etc/postern/control.json';

export interface ControlProcess
  extends Pick<
    ControlPorts,
    | 'credentialsOf'
    | 'clockConfirmed'
    | 'memory'
    | 'tell'
    | 'watchdogMillis'
    | 'onReload'
    | 'stop'
    | 'version'
  > {
  readonly env: Env;
  readonly assets: Assets;
}

/** @throws ConfigError where a setting is wrong, NetError */
export async function control(
  options: ControlOptions,
  environment: Readonly<Record<string, string | undefined>>,
  print: (text: string) => void,
  open: () => ControlProcess,
): Promise<void> {
  const settings = readSettings({
    flags: options.flags,
    environment,
    file: settingsFile(options.config ?? environment['POSTERN_CONTROL_CONFIG']),
  });
  if (options.check) {
    await check(settings, print);
    return;
  }
  const { env, assets, ...rest } = open();
  await runControl(settings, options, {
    ...rest,
    env,
    files: disk,
    startStore: (start) => assets.startWorker('store', start),
    startRelay: (start) => assets.startWorker('relay', start),
    built: unixMillis(BUILT_AFTER),
    uid: process.getuid?.() ?? 0,
  });
}

function settingsFile(path: string | undefined): { path: string; text: string } | undefined {
  if (path === undefined && !existsSync(DEFAULT_FILE)) return undefined;
  const file = path ?? DEFAULT_FILE;
  try {
    return { path: file, text: readFileSync(file, 'utf8') };
  } catch (error) {
    throw new ConfigError(`cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
}

/** Everything that can be wrong before anything listens. */
async function check(settings: ControlSettings, print: (text: string) => void): Promise<void> {
  const { url, tls, derpMaps, relay, listen, stun, stateFolder, socket, metrics } = settings;
  if (tls !== undefined) await readCertificate({ type: 'files', ...tls });
  const { maps, faults } = await new DerpMapSources(derpMaps).look();
  if (faults.length > 0) throw new ConfigError(faults.join('\npostern: '));
  const own = { url, pin: undefined, stunPort: stun[0]?.port, port80: false };
  const { Regions } = joined(relay ? ownRegion(own) : undefined, maps);
  const addresses = (list: typeof listen): string =>
    list.map(({ host, port }) => `${host} port ${port}`).join(', ') || 'off';
  print(
    [
      `clients come to    ${url.text}`,
      `listens on         ${addresses(listen)}`,
      `STUN               ${addresses(stun)}`,
      `relays             ${Object.values(Regions)
        .map(({ RegionID, RegionName }) => `${RegionID} ${RegionName}`)
        .join(', ')}`,
      `certificate        ${tls?.certificate ?? 'its own, for the relay'}`,
      `state              ${stateFolder}`,
      `socket             ${socket}`,
      `metrics            ${addresses(metrics === undefined ? [] : [metrics])}`,
      'the settings are good',
      '',
    ].join('\n'),
  );
}
