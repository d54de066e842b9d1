/**
 * Through a router that hides its inside.
 *
 *     a 10.77.0.1 -- 10.77.0.254 router 192.0.2.254 --+-- b 192.0.2.2
 *                                                     +-- c 192.0.2.3
 */

import { until } from './child.ts';
import { isMissing, UNDER_TEST } from './implementations.ts';
import type { Lab, NatKind, Plug } from './lab.ts';
import type { Side } from './pair.ts';
import { answers, introduce, makeSide, ping } from './pair.ts';
import { labTest } from './suite.ts';

interface Scene {
  readonly a: Side;
  readonly b: Side;
  readonly c: Side;
  readonly outside: Plug;
}

async function behindNat(lab: Lab, kind: NatKind): Promise<Scene> {
  const [a, router] = [await lab.host('a'), await lab.host('router')];
  const [b, c] = [await lab.host('b'), await lab.host('c')];
  await lab.link(a, router, { a: ['10.77.0.1/24'], b: ['10.77.0.254/24'] });
  await a.ip('route add default via 10.77.0.254');
  const [cable] = await lab.bridge('internet', [
    [router, '192.0.2.254/24'],
    [b, '192.0.2.2/24'],
    [c, '192.0.2.3/24'],
  ]);
  if (!cable) throw new Error('a bridge gives a cable for each host');
  await router.nat(cable.a, kind);
  const sides = await Promise.all([
    makeSide(lab, a, 1, UNDER_TEST),
    makeSide(lab, b, 2, UNDER_TEST),
    makeSide(lab, c, 3, UNDER_TEST),
  ]);
  for (const side of [sides[1], sides[2]]) {
    await introduce(side, sides[0]);
    await introduce(sides[0], side, `192.0.2.${side === sides[1] ? 2 : 3}:${side.port}`);
  }
  return { a: sides[0], b: sides[1], c: sides[2], outside: cable.a };
}

async function endpointSeenBy(side: Side, of: Side): Promise<string> {
  return (await side.tunnel.showOf(of.keys.publicKey, 'endpoints'))[0] ?? '';
}

for (const kind of ['easy', 'hard'] as const)
  labTest(
    `nat: ${kind}, both sides reach each other`,
    { skip: isMissing(UNDER_TEST) },
    async (t, lab) => {
      const { a, b, c, outside } = await behindNat(lab, kind);
      for (const peer of [b, c]) {
        t.equal((await ping(a, peer.inner[0])).received, 3, 'out');
        t.equal((await ping(peer, a.inner[1])).received, 3, 'and back in');
      }
      const [atB, atC] = [await endpointSeenBy(b, a), await endpointSeenBy(c, a)];
      t.match(atB, /^192\.0\.2\.254:/, 'who sees the router alone');
      t.equal(atB === atC, kind === 'easy', `${kind}: ${atB}, ${atC}`);

      await outside.host.ip(
        `addr del 192.0.2.254/24 dev ${outside.interface}`,
        `addr add 192.0.2.253/24 dev ${outside.interface}`,
      );
      await until('a ping comes back by the new address', () => answers(a, b.inner[0]));
      t.match(await endpointSeenBy(b, a), /^192\.0\.2\.253:/, 'the move is followed');
      t.equal((await ping(b, a.inner[0])).received, 3);
    },
  );
