import { judgeLife } from './paths-life.ts';

for (const seed of [1, 2, 3]) judgeLife(seed, 1);
