/**
 * Reads TypeScript as far as the laws need it: which text is code, and what a file imports.
 *
 * `codeOf` gives a text of the same length in which comments, regular expressions and the insides of strings
 * are blanks, so that a position means the same in both; what stands in `${}` of a template stays code. A `/`
 * begins a regular expression where an operand is due: after an operator, an opening bracket, a keyword, or
 * the condition of an `if`, `while` or `for`.
 */

import { lineOf } from './tree.ts';

export interface Import {
  /** Undefined where it is computed, and so cannot be judged. */
  readonly specifier: string | undefined;
  readonly line: number;
  /** Erased before the program runs. */
  readonly typeOnly: boolean;
}

const OPERAND_DUE =
  /(?:^|[([{,;:=!&|?+\-*%^~<>}]|\b(?:return|typeof|case|in|of|do|else|void|delete|throw|new|await|yield|instanceof))\s*$/;

export function codeOf(text: string): string {
  const out = text.split('');
  const blank = (from: number, to: number): void => {
    for (let i = from; i < Math.min(to, out.length); i++) if (out[i] !== '\n') out[i] = ' ';
  };
  /** Open braces inside each `${` that we are in. */
  const templates: number[] = [];
  let at = text.startsWith('#!') ? text.indexOf('\n') : 0;
  blank(0, at);
  while (at < text.length) {
    const char = text[at] as string;
    const two = text.slice(at, at + 2);
    let end = at + 1;
    if (two === '//') {
      end = indexOr(text, '\n', at);
      blank(at, end);
    } else if (two === '/*') {
      end = indexOr(text, '*/', at + 2) + 2;
      blank(at, end);
    } else if (char === "'" || char === '"') {
      end = closing(text, at, char);
      blank(at + 1, end - 1);
    } else if (char === '/' && operandDue(out, at)) {
      end = regexEnd(text, at);
      blank(at, end);
    } else if (char === '`' || (char === '}' && templates.at(-1) === 0)) {
      if (char === '}') templates.pop();
      end = templateEnd(text, at + 1);
      blank(at + 1, end - (text[end - 1] === '{' ? 2 : 1));
      if (text[end - 1] === '{') templates.push(0);
    } else if (templates.length > 0 && (char === '{' || char === '}')) {
      templates.push((templates.pop() as number) + (char === '{' ? 1 : -1));
    }
    at = end;
  }
  return out.join('');
}

function operandDue(out: readonly string[], at: number): boolean {
  let before = out.slice(Math.max(0, at - 500), at).join('');
  if (OPERAND_DUE.test(before)) return true;
  before = before.trimEnd();
  if (!before.endsWith(')')) return false;
  let open = before.length - 1;
  for (let depth = 1; depth > 0 && open > 0; ) {
    open--;
    if (before[open] === ')') depth++;
    else if (before[open] === '(') depth--;
  }
  return /\b(if|while|for)\s*$/.test(before.slice(0, open));
}

const STATIC =
  /(?<![.\w$])(?:import\b\s*(type\b(?!\s*from\b|\s*,))?[\w$\s,*]*(\{[^}]*\})?[\w$\s]*|export\b\s*(type\b)?\s*(?:(\{[^}]*\})|\*(?:\s*as\s+[\w$]+)?)\s*from\s*)(['"])/g;
const CALLED =
  /(?<![.\w$])(?:import|require|require\.resolve|import\.meta\.resolve)\s*\(\s*(?:(['"`])|(\S))/g;

export function importsOf(text: string): readonly Import[] {
  const code = codeOf(text);
  const found: Import[] = [];
  for (const match of code.matchAll(STATIC)) {
    const [whole, importType, names, exportType, exportNames] = match;
    const quote = match.index + whole.length - 1;
    const typeOnly = importType !== undefined || exportType !== undefined;
    found.push({
      specifier: text.slice(quote + 1, code.indexOf(code[quote] as string, quote + 1)),
      line: lineOf(text, match.index),
      typeOnly: typeOnly || onlyTypes(names ?? exportNames, whole),
    });
  }
  for (const match of code.matchAll(CALLED)) {
    const [whole, quote] = match;
    const start = match.index + whole.length;
    const end = quote === undefined ? start : text.indexOf(quote, start);
    const computed = quote === undefined || text.slice(start, end).includes('${');
    found.push({
      specifier: computed ? undefined : text.slice(start, end),
      line: lineOf(text, match.index),
      typeOnly: false,
    });
  }
  return found.sort((a, b) => a.line - b.line);
}

/** `{ type A, type B }` and nothing beside it. */
function onlyTypes(names: string | undefined, statement: string): boolean {
  if (names === undefined || /^import\s+[\w$*]/.test(statement)) return false;
  const list = names
    .slice(1, -1)
    .split(',')
    .map((name) => name.trim());
  const given = list.filter((name) => name !== '');
  return given.length > 0 && given.every((name) => /^type\s/.test(name));
}

function indexOr(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from);
  return at < 0 ? text.length : at;
}

/** Just behind the quote that closes the string at `at`. */
function closing(text: string, at: number, quote: string): number {
  let end = at + 1;
  while (end < text.length && text[end] !== quote && text[end] !== '\n')
    end += text[end] === '\\' ? 2 : 1;
  return end + 1;
}

function regexEnd(text: string, at: number): number {
  let end = at + 1;
  let inClass = false;
  while (end < text.length && text[end] !== '\n' && (inClass || text[end] !== '/')) {
    if (text[end] === '[') inClass = true;
    else if (text[end] === ']') inClass = false;
    end += text[end] === '\\' ? 2 : 1;
  }
  return end + 1;
}

/** Just behind the closing backtick, or behind the next `${`. */
function templateEnd(text: string, from: number): number {
  let end = from;
  while (end < text.length && text[end] !== '`' && text.slice(end, end + 2) !== '${')
    end += text[end] === '\\' ? 2 : 1;
  return end + (text[end] === '`' ? 1 : 2);
}
