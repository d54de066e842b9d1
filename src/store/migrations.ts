/**
 * The forms that the store's file has had, each as the step from the one before. Step n takes a file of
 * version n - 1 (PRAGMA user_version) to n; a new file takes them all. A step that was released is never
 * edited: the next form is a next step, and its test starts at every earlier version.
 *
 *     row    kind, key -> body, sum   documents; their changes are steps too, by SQLite's JSON functions, and
 *                                     their sums are made anew after each step (schema.ts)
 *     log    id -> at, body           who did what, in order
 */

export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE row (
     kind TEXT NOT NULL,
     key  TEXT NOT NULL,
     body TEXT NOT NULL CHECK (json_valid(body)),
     sum  INTEGER NOT NULL,
     PRIMARY KEY (kind, key)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE log (
     id   INTEGER PRIMARY KEY,
     at   INTEGER NOT NULL,
     body TEXT NOT NULL
   ) STRICT;`,
];
