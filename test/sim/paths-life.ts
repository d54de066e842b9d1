/** 100 nodes on bad links for a while, and what must be true of it afterwards. */

import t from 'tap';
import { PathsWorld } from './paths-world.ts';

const NODES = 100;
const HOUR = 3600;

/** A test of `hours` of virtual time. */
export function judgeLife(seed: number, hours: number): void {
  t.test(
    `paths: ${NODES} nodes in ${hours} h of bad links, seed ${seed}, are never apart while a way exists`,
    async (t) => {
      const world = new PathsWorld(seed, NODES);
      await world.live(hours * HOUR);
      const { worstGap, talks, packets, conversationSeconds, unprovoked, notDirect, direct } =
        world.report();
      const perSecond = packets / conversationSeconds;
      t.comment(
        `${talks} conversations, ${world.events} events; longest silence ${worstGap.seconds} s; ` +
          `direct ${direct} of the ${direct + notDirect.length} that could be; ` +
          `${perSecond.toFixed(2)} disco and STUN packets for each second of a conversation; ` +
          `${world.pings.most} pings to one peer in the busiest second`,
      );
      t.ok(talks > 500 * hours, 'conversations were held');
      // A path may die with all trust before it: 6.5 s is what a stock pair takes to double it.
      t.ok(worstGap.seconds < 6.5, `silent for ${worstGap.seconds} s: ${worstGap.who}`);
      t.ok(direct > 200 * hours, 'paths became direct');
      t.same(notDirect, [], 'wherever the NATs allow it');
      t.equal(unprovoked, 0, 'nothing is sent without a reason in the minute before');
      t.ok(perSecond < 4, 'packets for each second of a conversation');
      t.ok(world.pings.most <= 10, 'pings to one peer in a second');
    },
  );
}
