/**
 * The three actions that a port mapping takes, as SOAP over HTTP.
 *
 *     POST control URL                           SOAPAction: "type#Action"
 *       s:Envelope/s:Body/u:Action               NewExternalPort 41641, …
 *
 *     200   s:Envelope/s:Body/u:ActionResponse   NewExternalIPAddress 203.0.113.50
 *     500   s:Envelope/s:Body/s:Fault/detail/UPnPError/errorCode 718
 *
 *     GetExternalIPAddress     ()
 *     AddPortMapping           (remote host "", external port, UDP, internal port, client, enabled, description,
 *                              lease in seconds; 0: for ever)
 *     DeletePortMapping        (remote host "", external port, UDP)
 *
 * Arguments stand in the order of the service's own description, which some routers count on.
 *
 * Source: UPnP Device Architecture 1.1, 3.2; WANIPConnection:1, 2.4.16 to 2.4.18.
 */

import { formatIp, IPV4_BYTES, parseIp } from '../../../base/ip.ts';
import type { ServiceType } from './description.ts';
import type { XmlDrop, XmlElement } from './xml.ts';
import { elementsBelow, parseXml, textOf } from './xml.ts';

/** What other hosts of the network read in the router's list. */
const DESCRIPTION = 'postern';

/** Codes of a fault. */
export const FAULT = {
  /** ConflictInMappingEntry: the port is somebody else's. */
  CONFLICT: 718,
  /** OnlyPermanentLeasesSupported. */
  PERMANENT_ONLY: 725,
} as const;

export interface SoapRequest {
  /** The value of the header. */
  readonly action: string;
  readonly body: string;
}

export interface UpnpMapping {
  readonly externalPort: number;
  readonly internalPort: number;
  /** 4 bytes; our own address, as the router sees it. */
  readonly client: Uint8Array;
  /** 0: until it is deleted. */
  readonly leaseSeconds: number;
}

/** The gateway says no, by a code of its own choice. */
export interface SoapFault {
  readonly fault: number;
}

export type SoapDrop = XmlDrop | 'upnp: malformed answer';

export const encodeExternalAddress = (type: ServiceType): SoapRequest =>
  encode(type, 'GetExternalIPAddress', []);

export const encodeAddMapping = (type: ServiceType, mapping: UpnpMapping): SoapRequest =>
  encode(type, 'AddPortMapping', [
    ['NewRemoteHost', ''],
    ['NewExternalPort', String(mapping.externalPort)],
    ['NewProtocol', 'UDP'],
    ['NewInternalPort', String(mapping.internalPort)],
    ['NewInternalClient', formatIp(mapping.client)],
    ['NewEnabled', '1'],
    ['NewPortMappingDescription', DESCRIPTION],
    ['NewLeaseDuration', String(mapping.leaseSeconds)],
  ]);

export const encodeDeleteMapping = (type: ServiceType, externalPort: number): SoapRequest =>
  encode(type, 'DeletePortMapping', [
    ['NewRemoteHost', ''],
    ['NewExternalPort', String(externalPort)],
    ['NewProtocol', 'UDP'],
  ]);

/** The gateway's address outside, or why there is none. Never throws. */
export function decodeExternalAddress(document: Uint8Array): Uint8Array | SoapFault | SoapDrop {
  const answer = decode(document, 'GetExternalIPAddress');
  if (typeof answer === 'string' || 'fault' in answer) return answer;
  const address = parseIp(textOf(answer, 'NewExternalIPAddress'));
  return address?.length === IPV4_BYTES ? address : 'upnp: malformed answer';
}

/** Whether the gateway did what it was asked to. Never throws. */
export function decodeDone(
  document: Uint8Array,
  action: 'AddPortMapping' | 'DeletePortMapping',
): 'done' | SoapFault | SoapDrop {
  const answer = decode(document, action);
  return typeof answer === 'string' || 'fault' in answer ? answer : 'done';
}

/** @param args of texts that need no escape */
function encode(
  type: ServiceType,
  action: string,
  args: readonly (readonly [name: string, value: string])[],
): SoapRequest {
  const inner = args.map(([name, value]) => `<${name}>${value}</${name}>`).join('');
  return {
    action: `"${type}#${action}"`,
    body:
      '<?xml version="1.0"?>\r\n' +
      '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"' +
      ' s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
      `<u:${action} xmlns:u="${type}">${inner}</u:${action}>` +
      '</s:Body></s:Envelope>\r\n',
  };
}

function decode(document: Uint8Array, action: string): XmlElement | SoapFault | SoapDrop {
  const root = parseXml(document);
  if (typeof root === 'string') return root;
  const body = root.children.find(({ name }) => name === 'Body');
  const answer = body?.children[0];
  if (answer?.name === `${action}Response`) return answer;
  const error = answer?.name === 'Fault' ? elementsBelow(answer, 'UPnPError')[0] : undefined;
  const code = error === undefined ? '' : textOf(error, 'errorCode');
  return /^\d{3}$/.test(code) ? { fault: Number(code) } : 'upnp: malformed answer';
}
