/**
 * `GET /register/<id>`: what a person sees who opens the URL that a machine was given. It says which machine asks
 * and the command that lets it in; the page itself can do nothing. Whoever knows the id may look: it has 128
 * random bits and is shown to the machine's user alone.
 *
 * Everything of the machine is its own word, so it is shown as text, and texts that could pass for something else
 * (control characters, those that turn the direction of writing) are taken out. No script, no form, no frame,
 * nothing fetched.
 */

import { createHash } from 'node:crypto';
import type { Network } from '../coordinator/coordinator.ts';
import type { Approval } from '../registry/model.ts';

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:3em auto;padding:0 1em}' +
  'pre{background:#8882;padding:1em;overflow-x:auto}dt{font-weight:600}' +
  ':root{color-scheme:light dark}';

const STYLE_HASH: string = createHash('sha256').update(STYLE).digest('base64');

/** Of every page. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; ` +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
};

export interface Page {
  readonly status: number;
  readonly html: string;
}

export function loginPage({ model, now }: Network, id: string): Page {
  const approval = model.approvals.get(id);
  if (approval === undefined || now >= approval.expires)
    return page(
      404,
      'This login is not waiting',
      '<p>It has been approved, or an hour has passed, or the machine has asked again. ' +
        'If the machine still asks for a login, open the address that it shows now.</p>',
    );
  if (approval.refused)
    return page(
      403,
      'This login has been refused',
      `<p>The machine ${named(approval)} is not let in.</p>`,
    );
  return page(200, `Let ${named(approval)} into the network?`, waiting(approval, now));
}

function waiting(approval: Approval, now: number): string {
  const { id, from, requestTags, announced, expires } = approval;
  const minutes = Math.max(1, Math.ceil((expires - now) / 60_000));
  const rows = [
    ['Machine', named(approval)],
    ['Asks from', shown(from)],
    ['Tags it asks for', requestTags.map(shown).join(', ')],
    ['Routes it offers', announced.map(shown).join(', ')],
    ['Waits for', `${minutes} more ${minutes === 1 ? 'minute' : 'minutes'}`],
  ].filter(([, value]) => value !== '');
  const list = rows.map(([name, value]) => `<dt>${name}</dt><dd>${value}</dd>`).join('');
  return (
    '<p>If this is a machine of yours, an administrator lets it in with this command on the server; ' +
    'NAME is the user whose machine it is:</p>' +
    `<pre>postern nodes approve ${shown(id)} --user NAME</pre><dl>${list}</dl>` +
    '<p>If you do not know it, close this page: nothing has happened.</p>'
  );
}

const named = ({ hostname }: Pick<Approval, 'hostname'>): string =>
  shown(hostname) || 'a machine without a name';

/** @param title escaped */
function page(status: number, title: string, body: string): Page {
  const html =
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title>` +
    '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">' +
    `<style>${STYLE}</style></head><body><h1>${title}</h1>${body}</body></html>`;
  return { status, html };
}

const ESCAPED: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Somebody else's text as HTML: no mark-up, and no character that cannot be seen. */
function shown(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, '')
    .slice(0, 256)
    .replace(/[&<>"']/g, (mark) => ESCAPED[mark] ?? '');
}
