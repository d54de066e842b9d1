/** A board at a scripted server, before its login and after it. */

import type { Test } from 'tap';
import { ScriptedServer } from './scripted.ts';
import type { BoardOptions } from './stand.ts';
import { Board, Time } from './stand.ts';

export interface ScriptedStand {
  readonly time: Time;
  readonly server: ScriptedServer;
  readonly board: Board;
}

export async function scriptedBoard(
  t: Test,
  options: BoardOptions = {},
  server?: ScriptedServer,
): Promise<ScriptedStand> {
  const time = new Time();
  const scripted = server ?? (await ScriptedServer.open(t));
  const board = new Board(t, time, options);
  await board.session.start();
  await board.session.edit({ controlUrl: scripted.url });
  return { time, server: scripted, board };
}

export async function scriptedMember(
  t: Test,
  options: BoardOptions = {},
  server?: ScriptedServer,
): Promise<ScriptedStand> {
  const made = await scriptedBoard(t, options, server);
  const login = made.board.session.login({ authKey: 'k' });
  await made.time.until('connected', () => made.board.session.connected);
  await login;
  return made;
}
