/** A day of 100 nodes, in virtual time; an hour of it is in the sim tests. */

import t from 'tap';
import { judgeLife } from '../sim/paths-life.ts';

const MOST_MS = 60 * 60_000;

t.setTimeout(MOST_MS);

judgeLife(4, 24);
