/**
 * What routers say over UPnP, in the shapes that two kinds of them have: one of few words, as miniupnpd writes it,
 * and one of many, with URLBase, a second way out that is down, prefixes and comments.
 */

import type { GatewayAnswer } from '../../../src/node/paths/ports.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export const DEVICE = 'urn:schemas-upnp-org:device:';
export const SERVICE = 'urn:schemas-upnp-org:service:';

export const page = (text: string, status = 200): GatewayAnswer => ({ status, body: bytes(text) });

export function searchAnswer(
  location: string,
  target = `${DEVICE}InternetGatewayDevice:1`,
): Uint8Array {
  return bytes(
    [
      'HTTP/1.1 200 OK',
      'CACHE-CONTROL: max-age=120',
      `ST: ${target}`,
      `USN: uuid:00000000-0000-4000-8000-000000000001::${target}`,
      'EXT:',
      'SERVER: Debian/13 UPnP/1.1 router/1',
      `Location: ${location}`,
      'BOOTID.UPNP.ORG: 1',
      '',
      '',
    ].join('\r\n'),
  );
}

const service = (type: string, control: string): string =>
  `<service><serviceType>${SERVICE}${type}</serviceType>` +
  `<serviceId>urn:upnp-org:serviceId:x</serviceId><SCPDURL>/scpd.xml</SCPDURL>` +
  `<controlURL>${control}</controlURL><eventSubURL>/events</eventSubURL></service>`;

const device = (type: string, inner: string): string =>
  `<device><deviceType>${DEVICE}${type}</deviceType><friendlyName>a router</friendlyName>${inner}</device>`;

/** All in one line, no URLBase, version 2. */
export function shortDescription(control = '/ctl/IPConn', type = 'WANIPConnection:2'): string {
  const connection = device(
    'WANConnectionDevice:2',
    `<serviceList>${service(type, control)}</serviceList>`,
  );
  const wan = device(
    'WANDevice:2',
    `<serviceList>${service('WANCommonInterfaceConfig:1', '/ctl/CmnIfCfg')}</serviceList>` +
      `<deviceList>${connection}</deviceList>`,
  );
  return (
    '<?xml version="1.0"?>\n<root xmlns="urn:schemas-upnp-org:device-1-0" configId="1337">' +
    '<specVersion><major>1</major><minor>1</minor></specVersion>' +
    `${device('InternetGatewayDevice:2', `<deviceList>${wan}</deviceList>`)}</root>`
  );
}

/** With two ways out, indented, behind an empty line and before a zero, as some do. */
export function longDescription(base = 'http://192.168.1.1:49000/'): string {
  return `
<?xml version="1.0" encoding="utf-8" ?>
<!-- a router of the living room -->
<root xmlns="urn:schemas-upnp-org:device-1-0">
  <URLBase>${base}</URLBase>
  <device>
    <deviceType>${DEVICE}InternetGatewayDevice:1</deviceType>
    <friendlyName><![CDATA[Box <3> & more]]></friendlyName>
    <modelName>5 &amp; 6</modelName>
    <deviceList>
      <device>
        <deviceType>${DEVICE}WANDevice:1</deviceType>
        <deviceList>
          <device>
            <deviceType>${DEVICE}WANConnectionDevice:1</deviceType>
            <serviceList>
              ${service('WANPPPConnection:1', 'upnp/control/ppp')}
              ${service('WANIPConnection:1', '/upnp/control/ip?0&amp;1')}
            </serviceList>
          </device>
        </deviceList>
      </device>
    </deviceList>
  </device>
</root>
\0`;
}

const envelope = (inner: string): string =>
  '<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"' +
  ' s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
  `${inner}</s:Body></s:Envelope>`;

/** @param values XML */
export function done(action: string, values = ''): string {
  const type = `${SERVICE}WANIPConnection:1`;
  return envelope(`<u:${action}Response xmlns:u="${type}">${values}</u:${action}Response>`);
}

export const externalAddress = (address: string): string =>
  done('GetExternalIPAddress', `<NewExternalIPAddress>${address}</NewExternalIPAddress>`);

export function fault(code: number): GatewayAnswer {
  return page(
    envelope(
      '<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>' +
        `<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>${code}</errorCode>` +
        '<errorDescription>no</errorDescription></UPnPError></detail></s:Fault>',
    ),
    500,
  );
}
