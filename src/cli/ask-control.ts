/** Asks the coordination server on its socket. */

import type { Answers, AskControl } from '../protocol/localapi/control.ts';
import type { Listener } from './ask-local.ts';
import { askLocal } from './ask-local.ts';

/** A stalled disk may hold an answer back for this long. */
const PATIENCE_MILLIS = 60_000;

const CONTROL: Listener = {
  name: 'control server',
  start: 'postern control --state DIR --listen ADDR:PORT --url URL',
  open: 'run this as root, or be a member of its group',
  stall: '; its disk may be stalled',
};

export const askControl: AskControl = async (socket, action, request) => {
  const question = { socket, action, request, patienceMillis: PATIENCE_MILLIS };
  return (await askLocal(CONTROL, question)) as Answers[typeof action];
};
