/** The program: its verbs, and the parts that they call. */

import { parts } from './parts.ts';
import { runMain } from './run-main.ts';

runMain(parts());
