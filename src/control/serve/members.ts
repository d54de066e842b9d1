/** Who asks: the node that a machine speaks for, and how it stands in the audit log. */

import type { MachineKeyText, NodeKeyText } from '../../protocol/tailcfg/keys.ts';
import type { Network } from '../coordinator/coordinator.ts';
import type { Actor } from '../registry/change.ts';
import type { MeshNode } from '../registry/model.ts';
import { isExpired } from '../registry/model.ts';
import type { Session } from './session.ts';

/** The node of this key where it is this machine's. Anybody may name a key; Noise says whose machine asks. */
export function nodeOf(
  { model }: Network,
  machine: MachineKeyText,
  key: NodeKeyText,
): MeshNode | undefined {
  const id = model.index.nodeByKey.get(key);
  const node = id === undefined ? undefined : model.nodes.get(id);
  return node?.machine === machine ? node : undefined;
}

/** The nodes of a machine whose keys have not run out; more than one where several users have logged in on it. */
export function nodesOf({ model, now }: Network, machine: MachineKeyText): readonly MeshNode[] {
  const ids = model.index.nodesByMachine.get(machine) ?? [];
  return ids.flatMap((id) => model.nodes.get(id) ?? []).filter((node) => !isExpired(node, now));
}

export const actor = ({ remote }: Session, name: string): Actor => ({
  kind: 'node',
  name,
  from: remote.text,
});
