/**
 * The XML of a router, read into a small tree: elements by their name without prefix, and text. Attributes are
 * left out.
 *
 *     <u:Answer xmlns:u="urn:x"><New>1 &amp; 2</New></u:Answer>
 *
 *     { name: 'Answer', text: '', children: [{ name: 'New', text: '1 & 2', children: [] }] }
 *
 * Whoever answers may be hostile: a document type (the place where entities are made), more bytes, elements or
 * depth than a router needs, and whatever is not XML is a reason, never an exception. No entity is known but the
 * five of XML, and numbers.
 *
 * Source: XML 1.0, 2.8, 4.6.
 */

import sax from 'sax';

/** Of a document; descriptions of real routers have 2 to 10 kB. */
export const XML_MAX_BYTES = 65_536;

const MAX_DEPTH = 24;
const MAX_ELEMENTS = 2000;
const SPACE = 0x20;
const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

export interface XmlElement {
  readonly name: string;
  /** Its own, from before, between and after its children, without the white space around it. */
  readonly text: string;
  readonly children: readonly XmlElement[];
}

export type XmlDrop = 'upnp: malformed XML' | 'upnp: hostile XML';

interface Growing {
  readonly name: string;
  text: string;
  readonly children: Growing[];
}

/** @returns the root, or why there is none. Never throws. */
export function parseXml(document: Uint8Array): XmlElement | XmlDrop {
  if (document.length > XML_MAX_BYTES) return 'upnp: hostile XML';
  const text = unpadded(new TextDecoder().decode(document));
  const top: Growing = { name: '', text: '', children: [] };
  const open = [top];
  let elements = 0;
  let hostile = false;
  const refuse = (): never => {
    hostile = true;
    throw new Error('more than a router needs');
  };
  const parser = new sax.SAXParser(true, { position: false });
  // In the parser's own table every name of Object.prototype is an entity.
  parser.ENTITIES = Object.assign(Object.create(null), ENTITIES);
  parser.ondoctype = refuse;
  parser.onopentag = ({ name }) => {
    if (open.length > MAX_DEPTH || ++elements > MAX_ELEMENTS) refuse();
    const element = { name: name.slice(name.indexOf(':') + 1), text: '', children: [] };
    open.at(-1)?.children.push(element);
    open.push(element);
  };
  parser.onclosetag = () => {
    const closed = open.pop();
    if (closed !== undefined) closed.text = closed.text.trim();
  };
  parser.ontext = parser.oncdata = (more) => {
    const last = open.at(-1);
    if (last !== undefined) last.text += more;
  };
  parser.onerror = (error) => {
    throw error;
  };
  try {
    parser.write(text).close();
  } catch {
    return hostile ? 'upnp: hostile XML' : 'upnp: malformed XML';
  }
  const [root, ...more] = top.children;
  return root === undefined || more.length > 0 ? 'upnp: malformed XML' : root;
}

/** The text of the first child of that name; empty where there is none. */
export function textOf({ children }: XmlElement, name: string): string {
  return children.find((child) => child.name === name)?.text ?? '';
}

/** All elements of that name below this one, in the document's order. */
export function elementsBelow({ children }: XmlElement, name: string): XmlElement[] {
  return children.flatMap((child) => [
    ...(child.name === name ? [child] : []),
    ...elementsBelow(child, name),
  ]);
}

/** Without white space and zeros around it: XML allows none before its declaration, and no zero; routers do. */
function unpadded(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && text.charCodeAt(start) <= SPACE) start++;
  while (start < end && text.charCodeAt(end - 1) <= SPACE) end--;
  return text.slice(start, end);
}
