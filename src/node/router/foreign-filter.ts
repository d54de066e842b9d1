/**
 * Another program's packet filter that drops what is forwarded unless a rule of it says otherwise, as Docker and
 * firewalld set one up. What we let pass is dropped there all the same: each chain of the hook has its say. We
 * change nothing of others, so a person is told; a rule there that names our interface says that he has seen to it.
 */

import type { Health } from '../../base/health.ts';
import type { NftPort } from './ports.ts';
import type { RouterSetting } from './setting.ts';

const CODE = 'router-forward-dropped';

/** @throws ConfigError, NetError where it cannot be looked at */
export async function lookAtForeignFilter(
  { advertised, lan }: Pick<RouterSetting, 'advertised' | 'lan'>,
  nft: Pick<NftPort, 'forwardChains' | 'namesInterface'>,
  { device, health }: { readonly device: string; readonly health: Health },
): Promise<void> {
  const forwards = advertised.length + lan.length > 0;
  const chains = forwards ? await nft.forwardChains() : [];
  for (const { table, name, policy } of chains) {
    if (policy !== 'drop' || (await nft.namesInterface(table, device))) continue;
    const rule = (side: string): string =>
      `nft insert rule ${table} ${name} ${side} ${device} accept`;
    health.raise({
      code: CODE,
      severity: 'warning',
      text: `another packet filter (table ${table}, chain ${name}) drops what is forwarded, so what lies behind this node may not be reached`,
      remedy: `let it pass there: ${rule('iifname')} && ${rule('oifname')}; with Docker the chain is DOCKER-USER`,
    });
    return;
  }
  health.lower(CODE);
}
