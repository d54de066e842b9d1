import t from 'tap';
import type { Command } from '../../../src/node/dataplane/commands.ts';
import { CommandBatch } from '../../../src/node/tunnel/command-batch.ts';

t.test(
  'commands: those of a turn leave in one message, in order, or when they are told to',
  async (t) => {
    const posted: (readonly Command[])[] = [];
    const batch = new CommandBatch((commands) => posted.push(commands));
    const [first, second, third] = [1, 2, 3].map((slot): Command => ({ type: 'keepalive', slot }));
    batch.send(first as Command);
    batch.send(second as Command);
    t.same(posted, [], 'the turn goes on');
    await undefined;
    t.same(posted, [[first, second]]);
    batch.send(third as Command);
    batch.flush();
    t.same(posted, [[first, second], [third]]);
    await undefined;
    batch.flush();
    t.equal(posted.length, 2, 'no empty message');
  },
);
