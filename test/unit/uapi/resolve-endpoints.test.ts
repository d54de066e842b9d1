import t from 'tap';
import { formatEndpoint } from '../../../src/base/endpoint.ts';
import type { Env } from '../../../src/base/env.ts';
import { parseIp } from '../../../src/base/ip.ts';
import { nodePublic } from '../../../src/base/keys.ts';
import { lineLog } from '../../../src/base/log.ts';
import { millis, unixMillis } from '../../../src/base/time.ts';
import { resolveEndpoints } from '../../../src/node/uapi/resolve-endpoints.ts';
import { must } from '../../must.ts';
import { FakeInterface } from './fake-interface.ts';

const publicKey = nodePublic(new Uint8Array(32).fill(1));
const settle = (): Promise<void> => new Promise((done) => setImmediate(done));

function virtual(): { env: Env; waits: number[]; fire(): void } {
  const waits: number[] = [];
  let action: (() => void) | undefined;
  const env: Env = {
    now: () => millis(0),
    wall: () => unixMillis(0),
    random: (length) => new Uint8Array(length),
    setTimer: (at, then) => {
      waits.push(at);
      action = then;
      return () => {
        action = undefined;
      };
    },
    log: lineLog(() => {}, 'error'),
  };
  return { env, waits, fire: () => action?.() };
}

t.test('resolve: a name is asked for again until it resolves, then set', async (t) => {
  const { env, waits, fire } = virtual();
  const target = new FakeInterface();
  target.configure({ peers: [{ publicKey, allowedIps: [] }] });
  let failures = 8;
  const lookup = async (): Promise<Uint8Array> => {
    if (failures-- > 0) throw new Error('no resolver yet');
    return parseIp('192.0.2.9') as Uint8Array;
  };
  resolveEndpoints([{ publicKey, host: 'vpn.example', port: 7 }], { env, target, lookup });
  for (let round = 0; round < 9; round++) {
    await settle();
    fire();
  }
  t.same(
    waits.map((wait) => wait / 1000),
    [1, 2, 4, 8, 16, 32, 60, 60],
  );
  t.equal(formatEndpoint(must([...target.peers.values()][0]?.endpoint)), '192.0.2.9:7');
});

t.test('resolve: a peer removed meanwhile does not come back', async (t) => {
  const { env } = virtual();
  const target = new FakeInterface();
  const lookup = async (): Promise<Uint8Array> => parseIp('192.0.2.9') as Uint8Array;
  resolveEndpoints([{ publicKey, host: 'vpn.example', port: 7 }], { env, target, lookup });
  await settle();
  t.equal(target.peers.size, 0);
});

t.test('resolve: after stopping nothing is asked or set', async (t) => {
  const { env, waits, fire } = virtual();
  const target = new FakeInterface();
  let asked = 0;
  const lookup = async (): Promise<Uint8Array> => {
    asked++;
    throw new Error('no');
  };
  const stop = resolveEndpoints([{ publicKey, host: 'a', port: 7 }], { env, target, lookup });
  await settle();
  stop();
  fire();
  await settle();
  t.equal(asked, 1);
  t.equal(waits.length, 1);
  t.same(target.changes, []);
});
