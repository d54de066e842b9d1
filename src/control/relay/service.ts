/**
 * The relay as a whole: front, switchboard, STUN, certificate and who is admitted. See commands.ts.
 */

import { toHex } from '../../base/bytes.ts';
import type { NodePublic } from '../../base/keys.ts';
import { keyText, nodePublic } from '../../base/keys.ts';
import type { Millis } from '../../base/time.ts';
import { ownKey } from '../../crypto/x25519.ts';
import { Switchboard } from '../../protocol/derp/switchboard.ts';
import { BufferPool } from './buffer-pool.ts';
import type { CertificateText } from './certificate-files.ts';
import { CertificateFiles, certificateSha256, readCertificate } from './certificate-files.ts';
import type { RelayCommand, RelayEvent, RelayFault, RelayReport, RelayStart } from './commands.ts';
import { Front } from './front.ts';
import type { Session, SessionHost } from './session.ts';
import type { StunServer } from './stun-server.ts';
import { serveStun } from './stun-server.ts';

/** Keep-alives, deadlines and certificate files are looked at this often. */
const BEAT_MS = 2000;
/** What is still to be written when the relay stops gets this long. */
const STOP_MS = 1000;

export interface ServiceOptions {
  readonly start: RelayStart;
  notify(event: RelayEvent): void;
  now(): Millis;
  random(lengthBytes: number): Uint8Array;
}

export class RelayService {
  readonly #options: ServiceOptions;
  readonly #board: Switchboard;
  readonly #host: SessionHost;
  readonly #admitted = new Set<string>();
  readonly #sessions = new Set<Session>();
  readonly #refused: Record<string, number> = {};
  readonly #faults = new Set<RelayFault>();
  readonly #files: CertificateFiles;
  #front: Front | undefined;
  #stun: StunServer | undefined;
  #beat: NodeJS.Timeout | undefined;
  #stopping = false;
  #closed = false;
  #turn = 0;
  #turnEnds = false;
  #writes = 0;
  #forwarded = 0;
  #stunAnswers = 0;

  constructor(options: ServiceOptions) {
    this.#options = options;
    const { start, now, random } = options;
    this.#board = new Switchboard({
      limits: start.limits ?? {},
      jitter: () => (random(1)[0] as number) / 256,
    });
    this.#files = new CertificateFiles(start.certificate, (found) => this.#newCertificate(found));
    this.#host = this.#makeHost(now, random);
  }

  /** Does not throw: what goes wrong is a fault and the end. */
  async open(): Promise<void> {
    const { start } = this.#options;
    try {
      const certificate = await readCertificate(start.certificate);
      await this.#files.look();
      const front = new Front({
        host: this.#host,
        certificate,
        others: start.others,
        maxConnections: start.limits?.connections,
        forwarded: () => {
          this.#forwarded++;
        },
        othersReachable: (reachable) =>
          reachable
            ? this.#over('relay-others')
            : this.#fault('relay-others', `relay: nothing answers on ${start.others}`),
      });
      this.#front = front;
      const listen = await front.listen(start.listen);
      const stun = await this.#openStun();
      this.#options.notify({
        type: 'listening',
        listen,
        stun,
        certificateSha256: certificateSha256(certificate.certificate),
      });
      this.#beat = setInterval(() => this.#onBeat(), BEAT_MS);
    } catch (error) {
      this.#fault('relay-listen', (error as Error).message);
      this.#close();
    }
  }

  apply(command: RelayCommand): void {
    switch (command.type) {
      case 'admit':
        for (const key of command.keys) this.#admitted.add(toHex(key));
        return;
      case 'forget':
        for (const key of command.keys) {
          this.#admitted.delete(toHex(key));
          this.#board.expel(nodePublic(key));
        }
        return;
      case 'report':
        this.#options.notify({ type: 'report', report: this.#report() });
        return;
      case 'stop':
        this.#stop();
    }
  }

  /** Without STUN clients still have the relay, so its failure is a fault and no end. */
  async #openStun(): Promise<StunServer['addresses']> {
    try {
      this.#stun = await serveStun(this.#options.start.stun, (what) => {
        if (what === 'answered') this.#stunAnswers++;
        else this.#count(what);
      });
      return this.#stun.addresses;
    } catch (error) {
      this.#fault('relay-stun', `stun: ${(error as Error).message}`);
      return [];
    }
  }

  #makeHost(now: () => Millis, random: (lengthBytes: number) => Uint8Array): SessionHost {
    const { notify, start } = this.#options;
    const key = ownKey(start.privateKey);
    start.privateKey.fill(0);
    return {
      key,
      board: this.#board,
      pool: new BufferPool(),
      sessions: this.#sessions,
      now,
      turn: () => {
        if (!this.#turnEnds) {
          this.#turnEnds = true;
          setImmediate(() => {
            this.#turnEnds = false;
            this.#turn++;
          });
        }
        return this.#turn;
      },
      random,
      admits: (node: NodePublic) => !this.#stopping && this.#admitted.has(keyText(node)),
      joined: (node, remote) => notify({ type: 'client', key: node, remote }),
      left: (node, reason, connections) => {
        this.#count(reason);
        notify({ type: 'gone', key: node, reason, connections });
        if (this.#stopping && this.#sessions.size === 0) this.#close();
      },
      refused: (reason) => this.#count(reason),
      wrote: () => {
        this.#writes++;
      },
    };
  }

  #onBeat(): void {
    const now = this.#options.now();
    this.#board.beat(now);
    this.#front?.check(now);
    for (const session of this.#sessions) session.check(now);
    void this.#files.look();
  }

  #newCertificate(found: CertificateText | Error): void {
    try {
      if (found instanceof Error) throw found;
      this.#front?.useCertificate(found);
    } catch (error) {
      this.#fault('relay-certificate', (error as Error).message);
      return;
    }
    this.#over('relay-certificate');
    const sha256 = certificateSha256((found as CertificateText).certificate);
    this.#options.notify({ type: 'certificate', certificateSha256: sha256 });
  }

  #stop(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    clearInterval(this.#beat);
    this.#board.stop();
    this.#beat = setTimeout(() => this.#close(), this.#sessions.size === 0 ? 0 : STOP_MS);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#beat);
    this.#front?.close();
    this.#stun?.close();
    this.#options.notify({ type: 'stopped' });
  }

  #count(reason: string): void {
    this.#refused[reason] = (this.#refused[reason] ?? 0) + 1;
  }

  #fault(what: RelayFault, text: string): void {
    if (this.#faults.has(what)) return;
    this.#faults.add(what);
    this.#options.notify({ type: 'fault', what, text });
  }

  #over(what: RelayFault): void {
    if (this.#faults.delete(what)) this.#options.notify({ type: 'over', what });
  }

  #report(): RelayReport {
    return {
      connections: this.#front?.connections ?? 0,
      clients: this.#board.stations,
      ...this.#board.counters,
      writes: this.#writes,
      forwarded: this.#forwarded,
      stunAnswers: this.#stunAnswers,
      refused: { ...this.#refused },
    };
  }
}
