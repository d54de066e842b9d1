/** Both sides are ours: the same suites that others judge. */

import { UNDER_TEST } from './implementations.ts';
import { runSuite } from './suite.ts';
import { essentials } from './suites/essentials.ts';
import { movement } from './suites/movement.ts';

runSuite([...essentials, ...movement], [[UNDER_TEST, UNDER_TEST]]);
