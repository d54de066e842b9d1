/** Tags: `tag:` and a name. A tagged node belongs to its tags and to no user. */

import type { Refused } from './change.ts';
import { refused } from './change.ts';

const TAG = /^tag:[a-z][a-z0-9-]{0,49}$/;
const MAX_TAGS = 32;

/** What is wrong with tags as they stand; whether somebody may give them is the policy's matter. */
export function tagFault(tags: readonly string[]): Refused | undefined {
  if (tags.length > MAX_TAGS)
    return refused('bad request', `${tags.length} tags are more than ${MAX_TAGS}`);
  const bad = tags.find((tag) => !TAG.test(tag));
  return bad === undefined
    ? undefined
    : refused('bad request', `'${bad}' is no tag: tag: and a-z 0-9 -, a letter first`);
}

export const canonicalTags = (tags: readonly string[]): readonly string[] =>
  [...new Set(tags)].sort();
