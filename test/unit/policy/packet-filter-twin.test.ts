import t from 'tap';
import { formatIp, parseIp } from '../../../src/base/ip.ts';
import type { Prefix } from '../../../src/base/prefix.ts';
import { parsePrefix } from '../../../src/base/prefix.ts';
import { compileFilter } from '../../../src/policy/packet-filter.ts';
import { permits } from '../../../src/policy/packet-rule.ts';
import type { FilterRule } from '../../../src/protocol/tailcfg/map-types.ts';
import { must } from '../../must.ts';
import type { Seeded } from '../../seeded.ts';
import { seeded } from '../../seeded.ts';
import type { TwinPacket } from '../../twins/packet-filter.ts';
import { wordsAllow } from '../../twins/packet-filter.ts';

const ALL = { First: 0, Last: 65_535 };

const ip = (text: string): Uint8Array => must(parseIp(text));
const prefixes = (texts: readonly string[]): Prefix[] =>
  texts.map((text) => must(parsePrefix(text)));

t.test('filter: 100,000 packets are judged as the words say, rule and reason alike', async (t) => {
  const random = seeded(41);
  const verdicts = { yes: 0, no: 0 };
  for (let round = 0; round < 500; round++) {
    const rules = Array.from({ length: random.below(12) }, () => anyRule(random));
    const local = random.below(2) === 0 ? ['*'] : [anyWord(random), anyWord(random)];
    const sets = local.flatMap((word) => compiledLocal(word));
    const filter = compileFilter({ rules, local: sets, shieldsUp: false });
    for (let packets = 0; packets < 200; packets++) {
      const packet = anyPacket(random);
      const wanted = wordsAllow(rules, local, packet);
      verdicts[wanted ? 'yes' : 'no']++;
      const found = filter.rules.some((one) => permits(one, packet));
      if (found !== wanted || filter.explain(packet).allowed !== wanted)
        return t.fail(
          `round ${round}: ${found}, not ${wanted}: ${formatIp(packet.source)} > ${formatIp(packet.target)} ${packet.protocol} ${packet.port} ${JSON.stringify({ rules, local })}`,
        );
    }
  }
  return t.ok(verdicts.yes > 5000 && verdicts.no > 5000, JSON.stringify(verdicts));
});

function anyAddress(random: Seeded): string {
  return random.below(2) === 0
    ? `100.64.0.${random.below(16)}`
    : `fd7a:115c:a1e0::${random.below(16).toString(16)}`;
}

function anyWord(random: Seeded): string {
  const address = anyAddress(random);
  const v4 = !address.includes(':');
  switch (random.below(9)) {
    case 0:
    case 8:
      return '*';
    case 1:
      return v4 ? '100.64.0.8/29' : 'fd7a:115c:a1e0::8/125';
    case 2:
      return `${address}/${random.below(v4 ? 33 : 129)}`;
    case 3:
    case 4:
      return `${address}-${anyAddress(random)}`;
    case 5:
      return random.pick(['100.64.0', 'fd7a::1::', '1.2.3.4/33', '-', '100.64.0.1-', ' ']);
    default:
      return address;
  }
}

function anyRule(random: Seeded): FilterRule {
  const port = (): number => random.pick([0, 1, 2, 3, 3, 65_535, 65_535, 65_536]);
  const words = (): string[] => Array.from({ length: random.below(6) }, () => anyWord(random));
  const protocols = random.below(3);
  return {
    SrcIPs: words(),
    ...(random.below(10) > 0 && {
      DstPorts: words().map((IP) => ({
        IP,
        Ports: random.below(3) === 0 ? ALL : { First: port(), Last: port() },
      })),
    }),
    ...(protocols > 0 && {
      IPProto: Array.from({ length: random.below(4) }, () =>
        random.pick([0, 1, 6, 6, 17, 47, 58, 99, 132, 256]),
      ),
    }),
  };
}

function anyPacket(random: Seeded): TwinPacket {
  const v4 = random.below(2) === 0;
  const one = (): Uint8Array =>
    ip(v4 ? `100.64.0.${random.below(18)}` : `fd7a:115c:a1e0::${random.below(18).toString(16)}`);
  const protocol = random.pick([1, 6, 6, 17, 17, 47, 58, 99, 132, 255]);
  return { source: one(), target: one(), protocol, port: random.below(5) };
}

/** What is ours comes as prefixes: those that a rule with this word would have as its sources. */
function compiledLocal(word: string): Prefix[] {
  const everything = prefixes(['0.0.0.0/0', '::/0']);
  const { rules } = compileFilter({
    rules: [{ SrcIPs: ['*'], DstPorts: [{ IP: word, Ports: ALL }], IPProto: [6] }],
    local: everything,
    shieldsUp: false,
  });
  return rules.filter(({ protocol }) => protocol === 6).map(({ target }) => target);
}
