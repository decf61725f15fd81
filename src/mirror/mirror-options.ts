import { InvalidArgumentError } from '../core/errors.js'
import { type Bytes, type KeyRange, prefixEnd, successor } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { assertKnownOptions, describe, keyBytes, oneOf, positiveInteger } from '../core/validate.js'
import type { Txn } from '../kv/txn.js'
import type { CallOptions } from '../transport/transport.js'
import type { WatchBatch } from '../watch/watch-event.js'

/** Options of `mirror()`. */
export interface MirrorOptions {
  /** Prefix of the copies, instead of the prefix of the originals. @default the same prefix */
  readonly destinationPrefix?: Bytes | undefined
  /**
   * The key at the destination that stores the progress. A mirror with the same progress key resumes from it. No copy
   * is ever written to this key. @default `etcdkit-mirror/` followed by the destination prefix
   */
  readonly progressKey?: Bytes | undefined
  /** Maximum number of operations in a transaction, equal to the destination's `--max-txn-ops`. @default 128 */
  readonly maxTxnOps?: number | undefined
  /**
   * What to do if the source no longer has the history to continue from, or is another cluster. `throw`: fail with
   * `CompactedError`, `CLUSTER_CHANGED` or `REVISION_REWOUND`. `resync`: compare both sides again and **delete** keys
   * that exist only under the destination prefix.
   * @default 'throw'
   */
  readonly onCompacted?: 'throw' | 'resync' | undefined
}

/** The source of a mirror: a client, or a namespace of one. */
export interface MirrorSource {
  /** Lists the keys of a range. */
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

/** The destination of a mirror: a client, or a namespace of one. */
export interface MirrorDestination {
  /** Lists the keys of a range. */
  list(
    range: KeyRange,
    options: { readonly mode: 'linearizable'; readonly signal: AbortSignal },
  ): AsyncIterable<KeyValue>
  /** Reads one key. */
  get(key: Bytes, options: { readonly mode: 'linearizable' } & CallOptions): Promise<KeyValue | undefined>
  /** Starts a transaction. */
  txn(): Txn
}

/** The resolved options of a mirror. */
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

/** Validates and resolves the options of `mirror()`. */
export function planOf(prefix: Bytes, options: MirrorOptions): MirrorPlan {
  assertKnownOptions('mirror()', options, optionNames)
  const prefixBytes = Buffer.from(keyBytes('prefix', prefix))
  const destinationPrefix = Buffer.from(keyBytes('destinationPrefix', options.destinationPrefix ?? prefixBytes))
  const progressKey = Buffer.from(
    keyBytes('progressKey', options.progressKey ?? Buffer.concat([progressPrefix, destinationPrefix])),
  )
  const maxTxnOps = positiveInteger('maxTxnOps', options.maxTxnOps ?? defaultMaxTxnOps)
  if (progressKey.length === 0) throw new InvalidArgumentError('`progressKey` must not be empty')
  // One operation writes the progress.
  if (maxTxnOps < 2) throw new InvalidArgumentError(`\`maxTxnOps\` must be at least 2, got ${describe(maxTxnOps)}`)
  const resyncs = oneOf('onCompacted', options.onCompacted ?? 'throw', ['throw', 'resync']) === 'resync'
  return { prefix: prefixBytes, destinationPrefix, progressKey, maxTxnOps, resyncs }
}

/** Rejects an invalid destination, and one that would mirror itself. */
export function checkSides(source: object, destination: object, prefix: Bytes, options: MirrorOptions): void {
  const { prefix: from, destinationPrefix: to } = planOf(prefix, options)
  if (typeof destination !== 'object' || destination === null || !('txn' in destination)) {
    throw new InvalidArgumentError(`\`destination\` must be a client or a namespace, got ${describe(destination)}`)
  }
  const shared = Math.min(from.length, to.length)
  if (source !== destination || !from.subarray(0, shared).equals(to.subarray(0, shared))) return
  throw new InvalidArgumentError('`destinationPrefix` must not overlap the mirrored prefix of the same cluster')
}

/** The keys with a prefix that come after the key ending in `after`, if given. */
export function rangeAfter(prefix: Buffer, after: Buffer | undefined): KeyRange {
  if (after === undefined) return { prefix }
  const from = successor(Buffer.concat([prefix, after]))
  const end = prefixEnd(prefix)
  // The range of an empty prefix, or of one that consists of 0xff bytes, extends to the last key.
  return prefix.length === 0 || (end.length === 1 && end[0] === 0) ? { from } : { from, to: end }
}
