import t from 'tap';
import { findNode } from '../../../src/node/api/finding.ts';
import { FakeNode } from './fake-node.ts';
import { keyOf, peer, STATUS } from './fake-status.ts';

const names = new FakeNode();

t.test('finding: each way to name a machine', async (t) => {
  for (const [text, found, address, behind] of [
    ['laptop', 'n2', '100.64.0.2', false],
    ['LAPTOP.mesh.example.', 'n2', '100.64.0.2', false],
    ['100.64.0.2', 'n2', '100.64.0.2', false],
    ['fd7a:0::2', 'n2', 'fd7a::2', false],
    [keyOf(2), 'n2', '100.64.0.2', false],
    ['n4', 'n4', '100.64.0.4', false],
    ['box', 'n1', '100.64.0.1', false],
    ['192.168.8.20', 'n1', '192.168.8.20', true],
    ['10.1.2.3', 'n3', '10.1.2.3', true],
    ['cam', 'n3', '100.64.9.9', true],
    ['cam.mesh.example', 'n3', '100.64.9.9', true],
  ] as const) {
    const self = found === 'n1';
    t.match(
      findNode(STATUS, names, text),
      { ok: true, body: { node: { ID: found }, address, behind, self } },
      text,
    );
  }
});

t.test('finding: what is not there, or there twice, is refused with what is there', async (t) => {
  for (const [text, code, reason] of [
    ['none', 'not found', /there is no none/],
    ['', 'not found', /no .* in this network/],
    // The exit node leads to everything, which says nothing.
    ['8.8.8.8', 'not found', /no machine .* 8\.8\.8\.8/],
    ['twin', 'bad request', /fits 2 machines: nas\.mesh\.example .*, phone\.mesh\.example/],
  ] as const)
    t.match(findNode(STATUS, names, text), { ok: false, code, reason }, text);
});

t.test('finding: a host name that a machine chose itself wins over no name', async (t) => {
  const liar = peer(9, 'liar', { HostName: 'laptop' });
  const status = { ...STATUS, Peer: { [keyOf(9)]: liar, ...STATUS.Peer } };
  t.match(findNode(status, names, 'laptop'), { body: { node: { ID: 'n2' } } });
  const camera = { ...liar, HostName: 'cam' };
  t.match(
    findNode({ ...STATUS, Peer: { ...STATUS.Peer, [keyOf(9)]: camera } }, names, 'cam'),
    { body: { node: { ID: 'n3' } } },
    "nor over a LAN device's",
  );
});
