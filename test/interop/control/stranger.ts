/**
 * Somebody whom no network knows, at the door of a relay: a program that says `let in` or `refused`.
 *
 *     stranger ADDRESS PORT NAME
 */

import { RawClient } from '../../unit/derp/raw-client.ts';

const [host = '', port = '', serverName = ''] = process.argv.slice(2);
const answer = await RawClient.join({ host, port: Number(port), serverName }).then(
  (client) => {
    client.close();
    return 'let in';
  },
  () => 'refused',
);
console.log(answer);
