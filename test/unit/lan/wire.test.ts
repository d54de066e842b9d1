import t from 'tap';
import { readLanAnswer, readLanReport } from '../../../src/protocol/tailcfg/lan.ts';

t.test('wire: what both sides say is read, and what neither says is refused', async (t) => {
  const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  const device = { id: 'a1', kind: 'lan', name: 'cam', sshPort: 22, mode: 'route' };
  t.same(readLanReport(bytes({ devices: [device], more: 1 })), { value: { devices: [device] } });
  const four = { ...device, family: 4 };
  t.same(readLanReport(bytes({ devices: [four] })), { value: { devices: [four] } });
  t.match(readLanReport(bytes({ devices: [{ ...device, family: 5 }] })), {
    reason: 'body: wrong shape',
  });
  const given = { id: 'a1', name: 'cam.mesh.internal', ip4: '100.64.0.9', ip6: 'fd7a::9' };
  t.same(readLanAnswer(bytes({ devices: [given] })), { value: { devices: [given] } });
  for (const wrong of [
    { ...given, ip4: 'fd7a::9' },
    { ...given, ip6: '100.64.0.9' },
    { ...given, ip4: '100.64.0.9/10' },
    { ...given, id: 7 },
  ])
    t.match(readLanAnswer(bytes({ devices: [wrong] })), { reason: 'body: wrong shape' });
});
