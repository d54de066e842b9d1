/** The shapes of map-types.ts: rules, messages, and the whole of a map. Limits as in vocabulary.ts. */

import { isFilterAddress } from './formats.ts';
import type {
  DisplayMessage,
  FilterRule,
  MapResponse,
  PingRequest,
  SSHAction,
  SSHPolicy,
  SSHPrincipal,
  SSHRule,
  UserProfile,
} from './map-types.ts';
import type { Shape } from './shape.ts';
import { bool, list, maybe, nullable, object, oneOf, real, record, text, whole } from './shape.ts';
import {
  address,
  base64,
  CAP_MAP,
  DERP_MAP,
  DNS_CONFIG,
  endpoint,
  id,
  line,
  NODE,
  nodeIds,
  numeral,
  PEER_CHANGE,
  port,
  prefix,
  time,
  url,
  word,
} from './vocabulary.ts';

export const MAX_NODES = 100_000;
const MAX_RULES = 100_000;

type DstPort = NonNullable<FilterRule['DstPorts']>[number];

const filterAddress = text(128, 'an address of a filter', isFilterAddress);

const FILTER_RULE: Shape<FilterRule> = object<FilterRule>({
  SrcIPs: list(filterAddress, MAX_RULES),
  DstPorts: maybe(
    list(
      object<DstPort>({
        IP: filterAddress,
        Ports: object<DstPort['Ports']>({ First: port, Last: port }),
      }),
      MAX_RULES,
    ),
  ),
  IPProto: maybe(list(whole(0, 255), 256)),
  CapGrant: maybe(
    list(
      object<NonNullable<FilterRule['CapGrant']>[number]>({
        Dsts: list(prefix, MAX_RULES),
        CapMap: maybe(CAP_MAP),
      }),
      1024,
    ),
  ),
});
const FILTER_RULES: Shape<readonly FilterRule[]> = list(FILTER_RULE, MAX_RULES);

const SSH_ACTION: Shape<SSHAction> = object<SSHAction>({
  message: maybe(line),
  reject: maybe(bool),
  accept: maybe(bool),
  // Go counts nanoseconds in 63 bits.
  sessionDuration: maybe(whole(0, 2 ** 62)),
  allowAgentForwarding: maybe(bool),
  allowLocalPortForwarding: maybe(bool),
  allowRemotePortForwarding: maybe(bool),
  holdAndDelegate: maybe(url),
  recorders: maybe(list(endpoint, 64)),
  onRecordingFailure: maybe(
    object<NonNullable<SSHAction['onRecordingFailure']>>({
      RejectSessionWithMessage: maybe(line),
      TerminateSessionWithMessage: maybe(line),
      NotifyURL: maybe(url),
    }),
  ),
});

const SSH_RULE: Shape<SSHRule> = object<SSHRule>({
  ruleExpires: maybe(time),
  principals: list(
    object<SSHPrincipal>({
      any: maybe(bool),
      node: maybe(word),
      nodeIP: maybe(address),
      userLogin: maybe(word),
    }),
    MAX_RULES,
  ),
  sshUsers: record(word, 4096, word),
  action: SSH_ACTION,
  acceptEnv: maybe(list(word, 1024)),
});

const PING_REQUEST: Shape<PingRequest> = object<PingRequest>({
  URL: url,
  URLIsNoise: maybe(bool),
  Log: maybe(bool),
  Types: maybe(word),
  IP: maybe(address),
  Payload: maybe(base64),
});

const DISPLAY_MESSAGE: Shape<DisplayMessage> = object<DisplayMessage>({
  Title: line,
  Text: line,
  Severity: oneOf('high', 'medium', 'low'),
  ImpactsConnectivity: maybe(bool),
  PrimaryAction: maybe(
    object<NonNullable<DisplayMessage['PrimaryAction']>>({ URL: url, Label: word }),
  ),
});

const USER_PROFILE: Shape<UserProfile> = object<UserProfile>({
  ID: id,
  LoginName: word,
  DisplayName: word,
  ProfilePicURL: maybe(url),
});

export const MAP_RESPONSE: Shape<MapResponse> = object<MapResponse>({
  KeepAlive: maybe(bool),
  PingRequest: maybe(PING_REQUEST),
  PopBrowserURL: maybe(url),
  Node: maybe(NODE),
  Peers: maybe(list(NODE, MAX_NODES)),
  PeersChanged: maybe(list(NODE, MAX_NODES)),
  PeersRemoved: maybe(nodeIds),
  PeersChangedPatch: maybe(list(PEER_CHANGE, MAX_NODES)),
  PeerSeenChange: maybe(record(bool, MAX_NODES, numeral)),
  OnlineChange: maybe(record(bool, MAX_NODES, numeral)),
  DERPMap: maybe(DERP_MAP),
  DNSConfig: maybe(DNS_CONFIG),
  Domain: maybe(word),
  CollectServices: maybe(bool),
  PacketFilter: maybe(FILTER_RULES),
  PacketFilters: maybe(record(nullable(FILTER_RULES), 1024, word)),
  UserProfiles: maybe(list(USER_PROFILE, MAX_NODES)),
  Health: maybe(list(line, 256)),
  DisplayMessages: maybe(record(nullable(DISPLAY_MESSAGE), 256, word)),
  SSHPolicy: maybe(object<SSHPolicy>({ rules: list(SSH_RULE, MAX_RULES) })),
  ControlTime: maybe(time),
  Debug: maybe(
    object<NonNullable<MapResponse['Debug']>>({
      DisableLogTail: maybe(bool),
      SleepSeconds: maybe(real),
    }),
  ),
});
