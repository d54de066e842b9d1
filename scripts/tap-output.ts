/**
 * Counting in what a test file printed: the Test Anything Protocol, version 14, as node-tap writes it.
 *
 *     # Subtest: replay            opens a level, four blanks deeper
 *         ok 1 - first             an assertion
 *         not ok 2 - second        a failed one
 *           ---                    its details, in YAML, two blanks deeper; never read as results
 *           ...
 *         ok 3 # SKIP no root      a skipped one; a todo is the same to us: not shown to hold
 *         1..3                     the plan of that level
 *     not ok 1 - replay            closes it; counted by what is inside, not once more
 *     1..1
 *
 * Only leaves are counted. Whatever does not add up is a fault of the file: a plan that is missing or
 * another than its results, a test that ran no assertion, a closing line that contradicts its inside.
 * So lines that a program prints between can break a count, never improve it.
 *
 * Source: testanything.org, TAP version 14 specification.
 */

export interface Skip {
  readonly test: string;
  readonly reason: string;
}

export interface TapCount {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly Skip[];
  /** Names of failed assertions, from the outermost test inwards. */
  readonly failures: readonly string[];
  /** What does not add up. */
  readonly faults: readonly string[];
}

/** One nesting of tests while it is read. */
interface Level {
  readonly name: string;
  results: number;
  failed: boolean;
  planned: number | undefined;
  /** The level below, finished or not, until the result line that closes it. */
  inner: Level | undefined;
}

const INDENT = 4;
const RESULT = /^( *)(not )?ok\b(?: (\d+))?(?: - )?(.*)$/;
const PLAN = /^( *)1\.\.(\d+)(?:\s+#\s*(.*))?$/;
const SUBTEST = /^( *)# Subtest: (.*)$/;
const DIRECTIVE = /(?:^|[^\\])#\s*(skip|todo)\S*\s*(.*)$/i;

const level = (name: string): Level => ({
  name,
  results: 0,
  failed: false,
  planned: undefined,
  inner: undefined,
});

/** Counts the whole standard output of one test file. */
export function countTap(output: string): TapCount {
  const reader = new Reader();
  for (const line of output.split('\n')) reader.line(line);
  return reader.end();
}

class Reader {
  readonly #root = level('');
  #passed = 0;
  #failed = 0;
  readonly #skipped: Skip[] = [];
  readonly #failures: string[] = [];
  readonly #faults: string[] = [];
  /** Blanks before the `...` that ends the YAML block being passed over. */
  #yaml: number | undefined;
  /** Blanks before the result line just read: only its own details may follow deeper. */
  #resultAt: number | undefined;

  line(line: string): void {
    if (this.#yaml !== undefined) {
      if (line === `${' '.repeat(this.#yaml)}...`) this.#yaml = undefined;
      return;
    }
    if (this.#resultAt !== undefined && line === `${' '.repeat(this.#resultAt + 2)}---`) {
      this.#yaml = this.#resultAt + 2;
      return;
    }
    this.#resultAt = undefined;
    const subtest = SUBTEST.exec(line);
    const plan = PLAN.exec(line);
    const result = RESULT.exec(line);
    if (subtest) this.#subtest(subtest[1] as string, subtest[2] as string);
    else if (plan) this.#plan(plan[1] as string, Number(plan[2]), plan[3]);
    else if (result)
      this.#result(result[1] as string, result[2] === undefined, result[3], result[4] as string);
  }

  end(): TapCount {
    if (this.#yaml !== undefined) this.#faults.push('the output ends inside a detail block');
    this.#close(this.#root, 'the file');
    return {
      passed: this.#passed,
      failed: this.#failed,
      skipped: this.#skipped,
      failures: this.#failures,
      faults: this.#faults,
    };
  }

  #subtest(indent: string, name: string): void {
    const at = this.#at(indent.length);
    if (at) at.inner = level(name);
  }

  #plan(indent: string, count: number, comment: string | undefined): void {
    const at = this.#at(indent.length);
    if (!at) return;
    // A second `1..0` comes after a test that was cut off; the first plan stands.
    at.planned ??= count;
    if (count === 0 && at.results === 0 && /^skip/i.test(comment ?? ''))
      this.#skipped.push({ test: at.name, reason: (comment ?? '').replace(/^skip\S*\s*/i, '') });
  }

  #result(indent: string, ok: boolean, number: string | undefined, rest: string): void {
    const at = this.#at(indent.length);
    if (!at) return;
    this.#resultAt = indent.length;
    at.results++;
    if (number !== undefined && Number(number) !== at.results)
      this.#faults.push(`${named(at)}: result ${number} came as number ${at.results}`);
    const directive = DIRECTIVE.exec(rest);
    const name = rest
      .replace(/ # (time=|skip|todo).*$/i, '')
      .replace(/^# (skip|todo).*$/i, '')
      .trim();
    const inner = at.inner;
    at.inner = undefined;
    if (inner) {
      this.#close(inner, named(inner));
      if (ok && inner.failed && !directive)
        this.#faults.push(`${named(inner)}: said to be ok with a failure inside`);
      if (!ok && !inner.failed && !directive) this.#fail(at, name);
      at.failed ||= inner.failed;
    } else if (directive) {
      this.#skipped.push({ test: path(at, name), reason: directive[2]?.trim() ?? '' });
    } else if (ok) {
      this.#passed++;
    } else {
      this.#fail(at, name);
    }
  }

  #fail(at: Level, name: string): void {
    this.#failed++;
    this.#failures.push(path(at, name));
    at.failed = true;
  }

  #close(at: Level, name: string): void {
    if (at.inner) this.#faults.push(`${named(at.inner)}: began and did not end`);
    if (at.planned === undefined) this.#faults.push(`${name}: no plan, so it was cut off`);
    else if (at.planned !== at.results)
      this.#faults.push(`${name}: planned ${at.planned} results, gave ${at.results}`);
    if (at.results === 0 && !at.inner && !this.#skipped.some(({ test }) => test === at.name))
      this.#faults.push(`${name}: ran no assertion`);
  }

  /** The open level with this indent; undefined where the line is none of a test's. */
  #at(blanks: number): Level | undefined {
    let at: Level | undefined = this.#root;
    for (let depth = 0; depth < blanks && at; depth += INDENT) at = at.inner;
    return blanks % INDENT === 0 ? at : undefined;
  }
}

const named = (at: Level): string => (at.name === '' ? 'the file' : `'${at.name}'`);
const path = (at: Level, name: string): string => (at.name === '' ? name : `${at.name} > ${name}`);
