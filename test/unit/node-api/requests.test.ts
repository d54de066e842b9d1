import t from 'tap';
import { NODE_REQUESTS } from '../../../src/protocol/localapi/node-requests.ts';
import { RIGHTS } from '../../../src/protocol/localapi/node-rights.ts';
import type { Seeded } from '../../seeded.ts';
import { seeded } from '../../seeded.ts';
import { post } from './client.ts';
import { served } from './fake-node.ts';

t.test('socket: no request is answered by a fault, whatever it holds', async (t) => {
  const { node, path, lines } = await served(t);
  const random = seeded(7);
  const actions = Object.keys(RIGHTS).filter((action) => action !== 'watch');
  for (let round = 0; round < 1000; round++) {
    const action = random.pick(actions);
    const body = anyBody(random);
    const { status } = await post(path, action, body);
    // The numbers that the fake has not are a fault of its own.
    if (status === 500 && action !== 'debug.metrics')
      return t.fail(`round ${round}: ${action} ${JSON.stringify(body)} ${lines.at(-1)}`);
  }
  t.ok(node.asked.length < 1000);
  return t.pass('1,000 requests');
});

t.test('requests: no shape of text lets more than its form through', async (t) => {
  const hostile = ['x'.repeat(10_000), 'a\nb', '; reboot', '$(reboot)', '-rf', '../..', '\0', '::'];
  for (const text of hostile) {
    const shown = JSON.stringify(text.slice(0, 20));
    t.ok(NODE_REQUESTS['lan.add'].fault({ name: text, address: '10.0.0.1' }, true), shown);
    t.ok(NODE_REQUESTS['lan.add'].fault({ name: 'cam', address: `1.1.1.1${text}` }, true), shown);
    t.ok(NODE_REQUESTS.up.fault({ advertiseRoutes: [text] }, true), shown);
    t.ok(NODE_REQUESTS.up.fault({ loginServer: text }, true), shown);
    t.ok(NODE_REQUESTS.up.fault({ advertiseTags: [text] }, true), shown);
    t.ok(NODE_REQUESTS.whois.fault({ address: `${text} ` }, true), shown);
  }
});

const FIELDS = [
  'peer',
  'type',
  'name',
  'address',
  'exitNode',
  'hostname',
  'authKey',
  'timeoutMillis',
];
const VALUES = [
  'laptop',
  'disco',
  'nas',
  '',
  'none',
  '100.64.0.2',
  'cam',
  'A',
  'tag:x',
  '10.0.0.0/8',
];

function anyBody(random: Seeded): unknown {
  const value = (): unknown => {
    switch (random.below(6)) {
      case 0:
        return null;
      case 1:
        return random.below(70_000) - 5;
      case 2:
        return [random.pick(VALUES)];
      case 3:
        return { a: random.pick(VALUES) };
      case 4:
        return Buffer.from(random.bytes(random.below(20))).toString('latin1');
      default:
        return random.pick(VALUES);
    }
  };
  const fields = Array.from({ length: random.below(4) }, () => [random.pick(FIELDS), value()]);
  return random.below(10) === 0 ? value() : Object.fromEntries(fields);
}
