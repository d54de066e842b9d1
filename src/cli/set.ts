/** `postern set`: change settings of the node; what is not named stays. */

import { Command } from 'commander';
import type { NodeSettings } from '../protocol/localapi/node-status.ts';
import { facts, list, yesNo } from './columns.ts';
import type { SettingsFlags } from './node-flags.ts';
import { settingsOf, withSettings } from './node-flags.ts';
import type { NodeTerminal } from './node-verb.ts';
import { tellNode, withJson } from './node-verb.ts';

export function setCommand(terminal: NodeTerminal): Command {
  return withSettings(withJson(new Command('set')))
    .description('change settings; what is not named stays')
    .action((flags: SettingsFlags, command: Command) =>
      tellNode(terminal, command, 'set', settingsOf(flags), ({ settings }) =>
        terminal.out(settingsText(settings)),
      ),
    );
}

function settingsText(settings: NodeSettings): string {
  const { keyRotationSeconds: seconds, exitNode, snatExcept } = settings;
  const except = snatExcept.length === 0 ? '' : `, but ${list(snatExcept)}`;
  return facts([
    ['server', settings.loginServer],
    ['host name', settings.hostname],
    ['DNS', yesNo(settings.acceptDns)],
    ['routes', yesNo(settings.acceptRoutes)],
    [
      'offers',
      list([...settings.advertiseRoutes, ...(settings.advertiseExitNode ? ['exit'] : [])]),
    ],
    ['tags', list(settings.advertiseTags, '')],
    ['exit node', exitNode],
    ['LAN access', exitNode === '' ? '' : yesNo(settings.exitNodeAllowLanAccess)],
    ['shields up', yesNo(settings.shieldsUp)],
    ['SNAT', `${yesNo(settings.snatSubnetRoutes)}${except}`],
    ['new key', seconds === 0 ? 'never' : `every ${Math.round(seconds / 8640) / 10} d`],
  ]);
}
