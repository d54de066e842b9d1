/**
 * What makes a Linux router a NAT of a kind: nft rules, pure text.
 *
 * Linux alone keeps a port where it is free (mapping by endpoint) and lets in only answers (filtering by port).
 * The more open kinds remember who has sent from which port, and hand what arrives there to him:
 *
 *     forward      udp sport 41641, ip saddr A            owners[41641] = A
 *     prerouting   a new one to 41641                     dnat to owners[41641]
 *
 * A router that takes in a datagram for itself holds its tuple for 30 s, so that the member's own next datagram
 * to that sender must leave by another port. Home routers drop it at their WAN side; so do these.
 */

export type NatKind =
  | 'firewall'
  | 'easy'
  | 'address-restricted'
  | 'port-restricted'
  | 'address-dependent'
  | 'hard'
  | 'mapped'
  | 'blocked'
  | 'hairpin';

export interface RouterFacts {
  /** The interface that leads out. */
  readonly outside: string;
  /** Its address there. */
  readonly address: string;
}

/** From here on an address-dependent mapping has one port for each last byte of a destination. */
const FIRST_PORT = 21_000;
const BYTES = 256;
const NETWORK = '10.88.0';
const PRIVATE = '{ 192.168.0.0/16, 172.16.0.0/12 }';

export const RULES: Readonly<Record<NatKind, (facts: RouterFacts) => string>> = {
  firewall: ({ outside }) => `
    table inet lab-nat {
      chain through {
        type filter hook forward priority filter
        iifname "${outside}" ct state new drop
      }
    }`,
  easy: (facts) => table(facts, remembered(facts, 'inet_service', 'udp sport', 'udp dport')),
  'address-restricted': (facts) =>
    table(
      facts,
      remembered(facts, 'inet_service . ipv4_addr', 'udp sport . ip daddr', 'udp dport . ip saddr'),
    ),
  'port-restricted': (facts) => table(facts),
  'address-dependent': (facts) => table(facts, '', `meta l4proto udp ${snatByAddress(facts)}`),
  hard: (facts) => table(facts, '', 'meta l4proto udp masquerade random,fully-random'),
  // The chains of miniupnpd are asked first.
  mapped: (facts) => `
    table inet lab-mapper {
      chain forward {
        type filter hook forward priority filter
        jump miniupnpd
      }
      chain prerouting {
        type nat hook prerouting priority dstnat
        jump prerouting_miniupnpd
      }
      chain postrouting {
        type nat hook postrouting priority srcnat - 1
        jump postrouting_miniupnpd
      }
      chain miniupnpd {
      }
      chain prerouting_miniupnpd {
      }
      chain postrouting_miniupnpd {
      }
    }
    ${table(facts, '', 'meta l4proto udp masquerade random,fully-random')}`,
  blocked: (facts) =>
    table(
      facts,
      `chain through {
        type filter hook forward priority filter
        meta l4proto udp drop
      }`,
    ),
  hairpin: (facts) => table(facts, hairpin(facts)),
};

/** What is sent out by UDP has this address and any port, before all other rules: a hard NAT of two addresses. */
export const leavingAs = (address: string): string => `
    table inet lab-address {
      chain leaving {
        type nat hook postrouting priority srcnat - 2
        oifname "eth0" meta l4proto udp snat ip to ${address} random,fully-random
      }
    }`;

/** @param first a rule for what leaves, before all the rest is masqueraded */
function table({ outside }: RouterFacts, chains = '', first = ''): string {
  return `
    table inet lab-nat {
      ${chains}
      chain here {
        type filter hook input priority filter
        iifname "${outside}" meta l4proto udp drop
      }
      chain leaving {
        type nat hook postrouting priority srcnat
        ${first === '' ? '' : `oifname "${outside}" ${first}`}
        oifname "${outside}" masquerade
      }
    }`;
}

function remembered(
  { outside }: RouterFacts,
  type: string,
  leaving: string,
  arriving: string,
): string {
  return `
      map owners {
        type ${type} : ipv4_addr
        flags dynamic,timeout
        timeout 2m
      }
      chain through {
        type filter hook forward priority filter
        oifname "${outside}" meta l4proto udp update @owners { ${leaving} : ip saddr }
      }
      chain arriving {
        type nat hook prerouting priority dstnat
        iifname "${outside}" meta l4proto udp dnat ip to ${arriving} map @owners
      }`;
}

/**
 * Whoever sends to the public address from inside is taken for somebody outside, his source too. The two inner
 * routers choose the same port, so the later one's is moved: an owner is remembered by the port outside.
 */
function hairpin({ outside, address }: RouterFacts): string {
  return `
      map owners {
        type inet_service : ipv4_addr . inet_service
        flags dynamic,timeout
        timeout 2m
      }
      chain remember {
        type filter hook postrouting priority srcnat + 1
        oifname "${outside}" meta l4proto udp update @owners { ct reply proto-dst : ct original ip saddr . ct original proto-src }
      }
      chain arriving {
        type nat hook prerouting priority dstnat
        ip daddr ${address} meta l4proto udp dnat ip to udp dport map @owners
      }
      chain turning {
        type nat hook postrouting priority srcnat - 1
        ip saddr ${PRIVATE} ip daddr ${PRIVATE} meta l4proto udp snat ip to ${address}
      }`;
}

function snatByAddress({ address }: RouterFacts): string {
  const pairs = Array.from(
    { length: BYTES },
    (_, last) => `${NETWORK}.${last} : ${address} . ${FIRST_PORT + last}`,
  );
  return `snat ip to ip daddr map { ${pairs.join(', ')} }`;
}
