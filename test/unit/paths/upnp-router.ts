/** A router that speaks UPnP at 192.168.1.1:5000, and keeps the list of what it has opened. */

import type { GatewayAnswer } from '../../../src/node/paths/ports.ts';
import { done, externalAddress, fault, page, shortDescription } from '../disco/upnp-documents.ts';
import type { Asked } from './stand.ts';

export const LOCATION = 'http://192.168.1.1:5000/rootDesc.xml';

export interface Opened {
  readonly to: string;
  readonly leaseSeconds: number;
}

export class UpnpRouter {
  /** By external port. */
  readonly opened: Map<number, Opened> = new Map();
  /** Of actions and `GET`, in order. */
  readonly heard: string[] = [];
  description: string = shortDescription();
  address = '203.0.113.50';
  /** An answer of another kind; null: none at all. */
  instead: (action: string, port: number, opened: Opened) => GatewayAnswer | null | undefined =
    () => undefined;

  readonly page = ({ method, headers, body }: Asked): GatewayAnswer | undefined => {
    const action = method === 'GET' ? method : (headers['SOAPAction'] ?? '').replace(/.*#|"/g, '');
    const value = (name: string): string => new RegExp(`<${name}>(.*?)<`).exec(body)?.[1] ?? '';
    const port = Number(value('NewExternalPort'));
    const opened = {
      to: `${value('NewInternalClient')}:${value('NewInternalPort')}`,
      leaseSeconds: Number(value('NewLeaseDuration')),
    };
    this.heard.push(action);
    const other = this.instead(action, port, opened);
    if (other !== undefined) return other ?? undefined;
    switch (action) {
      case 'GET':
        return page(this.description);
      case 'GetExternalIPAddress':
        return page(externalAddress(this.address));
      case 'AddPortMapping':
        this.opened.set(port, opened);
        return page(done(action));
      case 'DeletePortMapping':
        return this.opened.delete(port) ? page(done(action)) : fault(714);
      default:
        return fault(401);
    }
  };
}
