/**
 * The worker: joins the data plane to the kernel. It gets the arena, the TUN descriptor and its settings as
 * worker data, opens nothing itself, and closes nothing but what it watches: descriptors belong to the main
 * thread.
 *
 * A worker's entry, and so one of the two places that may join `linux/` to a room.
 */

import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { BugError } from '../../base/errors.ts';
import { nodeCryptoAead } from '../../crypto/aead-node.ts';
import { refuses } from '../../crypto/known-answer.ts';
import { bootMillis } from '../../linux/clock.ts';
import { useNativeKoffi } from '../../linux/ffi.ts';
import { attachTun } from '../../linux/tun.ts';
