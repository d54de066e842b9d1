/** `postern relay`: what the relay of the coordination server does. */

import { Command } from 'commander';
import type { RelayStatus } from '../protocol/localapi/control-reports.ts';
import { facts } from './columns.ts';
import type { ControlTerminal } from './control-verb.ts';
import { tell, withSocket } from './control-verb.ts';

export function relayCommand(terminal: ControlTerminal): Command {
  const relay = withSocket(new Command('relay').description('the relay between nodes'));
  relay
    .command('show')
    .description('who is connected, and what it counted since its start')
    .action((_flags: object, command: Command) =>
      tell(terminal, command, 'relay.show', {}, ({ relay }) => terminal.out(relayText(relay))),
    );
  return relay;
}

function relayText(relay: RelayStatus): string {
  if (!relay.on) return 'relay: off\n';
  const count = (value: number): string => value.toLocaleString('en');
  const refused = Object.entries(relay.refused)
    .filter(([, times]) => times > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, times], i) => [i === 0 ? 'refused' : '', `${count(times)} ${reason}`] as const);
  return `relay: on\n${facts([
    ['clients', `${count(relay.clients)}, ${count(relay.connections)} connections`],
    ['packets', `${count(relay.packets)}, ${count(relay.packetBytes)} bytes`],
    ['dropped', relay.dropped === 0 ? '' : count(relay.dropped)],
    ['STUN', `${count(relay.stunAnswers)} answers`],
    ...refused,
  ])}`;
}
