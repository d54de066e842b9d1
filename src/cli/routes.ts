/** `postern routes`: which networks lie behind which node, and who may be an exit. */

import { Command } from 'commander';
import type { NodeReport, RouteReport } from '../protocol/localapi/control-reports.ts';
import type { RoutesRequest } from '../protocol/localapi/control-requests.ts';
import { columns, list, yesNo } from './columns.ts';
import type { ControlTerminal } from './control-verb.ts';
import { tell, withSocket } from './control-verb.ts';

interface Flags {
  readonly exit?: boolean;
  readonly all?: boolean;
}

export function routesCommand(terminal: ControlTerminal): Command {
  const { out, err } = terminal;
  const routes = withSocket(new Command('routes').description('networks behind nodes, and exits'));
  routes
    .command('list')
    .description('what nodes offer, and what they may')
    .argument('[node]', 'of one alone')
    .action((node: string | undefined, _flags: object, command: Command) =>
      tell(terminal, command, 'routes.list', { ...(node && { node }) }, ({ routes }) =>
        out(routesText(routes)),
      ),
    );
  for (const [verb, description, everything] of [
    ['approve', 'let a node route networks', 'all that it offers'],
    ['withdraw', 'let a node route networks no more', 'all that it may'],
  ] as const)
    routes
      .command(verb)
      .description(description)
      .argument('<node>', 'name, id, address or full name')
      .argument('[prefixes...]', 'for instance 192.168.1.0/24')
      .option('--exit', 'the way to the Internet: 0.0.0.0/0 and ::/0')
      .option('--all', everything)
      .action((node: string, prefixes: string[], { exit, all }: Flags, command: Command) => {
        const request: RoutesRequest = {
          node,
          ...(prefixes.length > 0 && { prefixes }),
          ...(exit && { exit }),
          ...(all && { all }),
        };
        return tell(terminal, command, `routes.${verb}`, request, ({ node }) =>
          err(approvedText(node)),
        );
      });
  return routes;
}

const routesText = (routes: readonly RouteReport[]): string =>
  columns([
    ['PREFIX', 'NODE', 'OFFERED', 'APPROVED', 'IN USE', 'ONLINE'],
    ...routes.map(({ prefix, node, exit, announced, approved, primary, online }) => [
      prefix,
      node,
      yesNo(announced),
      yesNo(approved),
      // Whoever wants an exit chooses one: it is nobody's alone.
      exit ? '-' : yesNo(primary),
      yesNo(online),
    ]),
  ]);

function approvedText({ name, routes }: NodeReport): string {
  const absent = routes.approved.filter((prefix) => !routes.announced.includes(prefix));
  const missing = absent.length === 0 ? '' : `; it does not offer ${list(absent)} now`;
  return `${name} may route ${list(routes.approved, 'nothing')}${missing}\n`;
}
