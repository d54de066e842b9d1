/** Strangers who send, to two of ours. */

import { UNDER_TEST } from './implementations.ts';
import { runSuite } from './suite.ts';
import { hostility } from './suites/hostility.ts';

runSuite(hostility, [[UNDER_TEST, UNDER_TEST]]);
