import { InvalidArgumentError } from '../core/errors.js'
import { type Bytes, type KeyRange, prefixEnd, successor } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { assertKnownOptions, describe, keyBytes, oneOf, positiveInteger } from '../core/validate.js'
import type { Txn } from '../kv/txn.js'
import type { CallOptions } from '../transport/transport.js'
import type { WatchBatch } from '../watch/watch-event.js'

/** Options of `mirror()`. */
export interface MirrorOptions {
  /** What the copies' keys begin with, in place of the prefix of the originals. @default the same prefix */
  readonly destinationPrefix?: Bytes | undefined
  /**
   * The key at the destination that holds how far the mirror has come: who starts it again with the same key goes on
   * from there. No copy is ever written to it. @default `etcdkit-mirror/` and the destination prefix
   */
  readonly progressKey?: Bytes | undefined
  /** Most operations in a transaction, as the destination's `--max-txn-ops`. @default 128 */
  readonly maxTxnOps?: number | undefined
  /**
   * What to do where the source has no history any more to go on from, or is another cluster: `throw`, that is, fail
   * with a `CompactedError`, `CLUSTER_CHANGED` or `REVISION_REWOUND`, or `resync`: compare both sides anew and, **also,
   * delete** what only the destination has under its prefix.
   * @default 'throw'
   */
  readonly onCompacted?: 'throw' | 'resync' | undefined
}

/** Where a mirror reads: a client, or a namespace of one. */
export interface MirrorSource {
  list(
    range: KeyRange,
    options: { readonly revision?: number | undefined; readonly mode: 'linearizable'; readonly signal: AbortSignal },
  ): AsyncIterable<KeyValue>
  range(
    range: KeyRange,
    options: { readonly limit: number; readonly mode: 'linearizable'; readonly signal: AbortSignal },
  ): Promise<{ readonly revision: number; readonly clusterId?: string | undefined; readonly stale?: boolean }>
  watch(
    range: KeyRange,
    options: { readonly startRevision: number; readonly progress: true; readonly signal: AbortSignal },
  ): { batches(): AsyncIterable<WatchBatch>; requestProgress(): void; close(): Promise<void> }
}

/** Where a mirror writes: a client, or a namespace of one. */
export interface MirrorDestination {
  list(
    range: KeyRange,
    options: { readonly mode: 'linearizable'; readonly signal: AbortSignal },
  ): AsyncIterable<KeyValue>
  get(key: Bytes, options: { readonly mode: 'linearizable' } & CallOptions): Promise<KeyValue | undefined>
  txn(): Txn
}

/** Options as a mirror works with them. */
export interface MirrorPlan {
  readonly prefix: Buffer
  readonly destinationPrefix: Buffer
  readonly progressKey: Buffer
  readonly maxTxnOps: number
  readonly resyncs: boolean
}

const optionNames = ['destinationPrefix', 'progressKey', 'maxTxnOps', 'onCompacted']
const defaultMaxTxnOps = 128
const progressPrefix = Buffer.from('etcdkit-mirror/')

/** Checks the options of `mirror()`. */
export function planOf(prefix: Bytes, options: MirrorOptions): MirrorPlan {
  assertKnownOptions('mirror()', options, optionNames)
  const prefixBytes = Buffer.from(keyBytes('prefix', prefix))
  const destinationPrefix = Buffer.from(keyBytes('destinationPrefix', options.destinationPrefix ?? prefixBytes))
  const progressKey = Buffer.from(
    keyBytes('progressKey', options.progressKey ?? Buffer.concat([progressPrefix, destinationPrefix])),
  )
  const maxTxnOps = positiveInteger('maxTxnOps', options.maxTxnOps ?? defaultMaxTxnOps)
  if (progressKey.length === 0) throw new InvalidArgumentError('`progressKey` must have at least one byte')
  // One of them is for the progress.
  if (maxTxnOps < 2) throw new InvalidArgumentError(`\`maxTxnOps\` must be at least 2, got ${describe(maxTxnOps)}`)
  const resyncs = oneOf('onCompacted', options.onCompacted ?? 'throw', ['throw', 'resync']) === 'resync'
  return { prefix: prefixBytes, destinationPrefix, progressKey, maxTxnOps, resyncs }
}

/** Refuses a destination that is none, and one that would mirror itself. */
export function checkSides(source: object, destination: object, prefix: Bytes, options: MirrorOptions): void {
  const { prefix: from, destinationPrefix: to } = planOf(prefix, options)
  if (typeof destination !== 'object' || destination === null || !('txn' in destination)) {
    throw new InvalidArgumentError(`\`destination\` must be a client or a namespace, got ${describe(destination)}`)
  }
  const shared = Math.min(from.length, to.length)
  if (source !== destination || !from.subarray(0, shared).equals(to.subarray(0, shared))) return
  throw new InvalidArgumentError('`destinationPrefix` must not overlap the prefix that is mirrored, in the same place')
}

/** The keys with a prefix, behind the one that goes on with `after`, where that is given. */
export function rangeAfter(prefix: Buffer, after: Buffer | undefined): KeyRange {
  if (after === undefined) return { prefix }
  const from = successor(Buffer.concat([prefix, after]))
  const end = prefixEnd(prefix)
  // A prefix of nothing, or of bytes that are all 255, ends with the last key there is.
  return prefix.length === 0 || (end.length === 1 && end[0] === 0) ? { from } : { from, to: end }
}
