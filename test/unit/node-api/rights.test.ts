import t from 'tap';
import { callerOf } from '../../../src/node/api/caller.ts';
import type { NodeAction } from '../../../src/protocol/localapi/node-rights.ts';
import { isNodeAction, mayDo, RIGHTS } from '../../../src/protocol/localapi/node-rights.ts';

const GROUP = 'root:x:0:\nposterns:x:77:eve\npostern:x:990:mia,max\nbad\n';
const PASSWD = 'root:x:0:0::/:/bin/sh\nmia:x:1001:1001::/:/bin/sh\neve:x:1002:990::/:/bin/sh\n';
const readFile = (path: string): string => (path === '/etc/group' ? GROUP : PASSWD);

t.test('caller: root, the own uid and the group operate, others look', async (t) => {
  for (const [uid, gid, operator, why] of [
    [0, 0, true, 'root'],
    [500, 500, true, "the node's own uid"],
    [1001, 1001, true, 'a member by name'],
    [1002, 990, true, 'the group is his main one'],
    [1003, 77, false, 'a group whose name begins alike'],
    [1004, 1004, false, 'nobody special'],
    [0xffff_fffe, 0, false, "root's group alone is no right"],
  ] as const) {
    const operators = { ownUid: 500, group: 'postern', readFile };
    const caller = callerOf(operators, { pid: 9, uid, gid });
    t.same(caller, { ok: true, body: { uid, operator } }, why);
  }
});

t.test('caller: a machine without the files, or a broken line, gives no right', async (t) => {
  for (const text of [undefined, '', 'postern', 'postern:x::mia', 'postern:x:-1:mia']) {
    const operators = {
      ownUid: 0,
      group: 'postern',
      readFile: (path: string) => (path === '/etc/group' ? text : PASSWD),
    };
    const caller = callerOf(operators, { pid: 9, uid: 1001, gid: 1001 });
    t.match(caller, { body: { operator: false } }, JSON.stringify(text));
  }
  const unknown = callerOf({ ownUid: 0, group: 'postern', readFile }, undefined);
  t.match(unknown, { ok: false, code: 'denied' });
});

t.test('rights: who is nobody special may look, and change nothing', async (t) => {
  const looks = (Object.keys(RIGHTS) as NodeAction[]).filter((action) => mayDo(false, action));
  t.same(looks.sort(), [
    'dns.query',
    'dns.status',
    'ip',
    'netcheck',
    'ping',
    'status',
    'version',
    'watch',
    'whois',
  ]);
  for (const text of ['toString', '__proto__', 'Status', '']) t.notOk(isNodeAction(text), text);
});
