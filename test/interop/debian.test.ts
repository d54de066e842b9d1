/** Debian's wireguard-go (of 2022) as the judge, in both roles. */

import { UNDER_TEST } from '../netns/implementations.ts';
import { runSuite } from '../netns/suite.ts';
import { essentials } from '../netns/suites/essentials.ts';
import { flood } from '../netns/suites/hostility.ts';
import { movement } from '../netns/suites/movement.ts';

runSuite(
  [...essentials, ...movement, flood],
  [
    [UNDER_TEST, 'debian'],
    ['debian', UNDER_TEST],
  ],
);
