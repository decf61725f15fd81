import { type Codec, checkDecoder } from '../core/codec.js'
import { InvalidArgumentError } from '../core/errors.js'
import { type EncodedRange, type KeyRange, printedRange } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import {
  assertFunction,
  assertKnownOptions,
  describe,
  nonNegativeInteger,
  oneOf,
  optionalBoolean,
  optionalSignal,
  positiveInteger,
} from '../core/validate.js'
import type { Obstacle } from '../core/wait.js'
import { callOptionNames, checkCall } from '../transport/call-options.js'
import type { ClusterIdentity } from '../transport/connection/cluster-identity.js'
import type { CallOptions } from '../transport/transport.js'
import type { InvalidEntry } from './draft.js'
import type { Entry } from './entry.js'
import { checkIndexes, type Indexes } from './index-table.js'
import type { Gap, ReflectedPage, ReflectedWatch } from './reflector.js'

/** Options of `informer()`. */
export interface InformerOptions<T, Name extends string = never> {
  /** Decodes values. @default text */
  readonly codec?: Codec<T, never> | undefined
  /** Keys for which it returns false are treated as absent. */
  readonly filter?: ((value: T, entry: Entry<T>) => boolean) | undefined
  /** Reduces a value to what should be kept, after the filter. */
  readonly transform?: ((value: T, entry: Entry<T>) => T) | undefined
  /** Functions that return the terms under which `by()` finds an entry. They must be pure. */
  readonly indexes?: Indexes<T, Name> | undefined
  /** Maximum number of keys per page of a listing. @default 10 000 */
  readonly maxPageSize?: number | undefined
  /**
   * Maximum number of queued changes per handler. A handler that falls further behind receives one change per key
   * instead. @default 1000
   */
  readonly maxQueuedChanges?: number | undefined
  /**
   * A file for the state, so that a service can start while etcd is unreachable: `ready({ allowStale: true })`.
   * Requires a codec with `encode()`. Written a few seconds after changes and on `close()`, readable only by its owner.
   *
   * Two informers of one process cannot share a file. A file of another range, namespace, user or cluster is not used,
   * and an `error` event reports it. If the cluster is not known yet, the first listing detects the mismatch and emits
   * `resync` with `CLUSTER_CHANGED`.
   */
  readonly persist?: string | undefined
}

/** Options of `informer()` with a codec. */
export interface CodecInformerOptions<T, Name extends string = never> extends InformerOptions<T, Name> {
  readonly codec: Codec<T, never>
}

/** Options of `ready()`. */
export interface ReadyOptions extends CallOptions {
  /** Whether a state loaded from the `persist` file is sufficient. @default false */
  readonly allowStale?: boolean | undefined
}

/** Options of `events()`. */
export interface EventsOptions {
  /**
   * Where to start: with all existing keys, with the next change, or with the changes since a revision. @default
   * 'initial'
   */
  readonly from?: 'initial' | 'now' | number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Events of an informer as a whole. */
export interface InformerEvents {
  /** The first listing is complete. */
  ready: { readonly revision: number; readonly size: number }
  /** A listing replaced events that were no longer available; handlers receive the differences. */
  resync: {
    /** `COMPACTED`, `CLUSTER_CHANGED`, `REVISION_REWOUND`, or another code with which the watch ended. */
    readonly reason: Gap['code']
    readonly fromRevision: number
    readonly compactRevision: number | undefined
    readonly toRevision: number
  }
  /** A listing failed and is retried, or the informer has failed permanently (`terminal`). */
  error: { readonly error: unknown; readonly terminal: boolean }
  /** A value could not be decoded. */
  invalid: InvalidEntry
  /** A handler threw, or its promise rejected. It still receives the next change. */
  handlerError: { readonly error: unknown }
}

/** The source of an informer. */
export interface InformerSource {
  readonly obstacle?: Obstacle
  readonly cluster: Pick<ClusterIdentity, 'clusterId' | 'history' | 'onHistory'>
  /** The owner of the state on disk. */
  readonly owner: { readonly range: EncodedRange; readonly namespace: Buffer; readonly user: string | undefined }
  list(
    range: KeyRange,
    options: {
      readonly maxPageSize?: number | undefined
      readonly revision?: number | undefined
      readonly signal: AbortSignal
      readonly onCompacted?: 'restart' | undefined
      readonly onRestart?: (() => void) | undefined
    },
  ): { pages(): AsyncIterable<ReflectedPage> }
  watch(
    range: KeyRange,
    options: { readonly startRevision: number; readonly progress: true; readonly signal: AbortSignal },
  ): ReflectedWatch
  range(
    range: KeyRange,
    options: {
      readonly limit: number
      readonly mode: 'linearizable'
      readonly keysOnly?: boolean | undefined
      readonly sort?: { readonly target: 'modRevision'; readonly order: 'descend' } | undefined
    } & CallOptions,
  ): Promise<{ readonly kvs: readonly KeyValue[]; readonly count: number; readonly revision: number }>
}

/** Current state and counts of an informer. */
export interface InformerStats {
  readonly state: 'listing' | 'watching' | 'retrying' | 'failed' | 'closed'
  /** The member that serves its watch. */
  readonly endpoint: string | undefined
  readonly size: number
  readonly revision: number
  /** Number of values that could not be decoded. */
  readonly invalid: number
  readonly resyncs: number
  /** Number of times that the watch moved to another stream since the last listing. */
  readonly reconnects: number
  /** For each handler, the queued changes and the number of overflows. */
  readonly handlers: readonly { readonly queued: number; readonly overflows: number }[]
}

/** An informer for a person. */
export function printedStats(range: KeyRange, { state, endpoint, size, revision, invalid }: InformerStats): object {
  return { ...printedRange(range), state, endpoint, size, revision, invalid: invalid === 0 ? undefined : invalid }
}

/** A subscribed handler. */
export interface InformerSubscription extends Disposable {
  /** Resolves when the handler has received all keys that existed when it joined; rejects if it ends earlier. */
  readonly ready: Promise<void>
  /** Removes the handler. */
  close(): void
}

const optionNames = ['codec', 'filter', 'transform', 'indexes', 'maxPageSize', 'maxQueuedChanges', 'persist']

/** Validates the options of `informer()`. */
export function checkInformerOptions(options: InformerOptions<unknown, string>): void {
  assertKnownOptions('informer()', options, optionNames)
  if (options.maxPageSize !== undefined) positiveInteger('maxPageSize', options.maxPageSize)
  if (options.maxQueuedChanges !== undefined) positiveInteger('maxQueuedChanges', options.maxQueuedChanges)
  if (options.filter !== undefined) assertFunction('filter', options.filter)
  if (options.transform !== undefined) assertFunction('transform', options.transform)
  if (options.persist !== undefined && (typeof options.persist !== 'string' || options.persist === '')) {
    throw new InvalidArgumentError(`\`persist\` must be the path of a file, got ${describe(options.persist)}`)
  }
  if (options.indexes !== undefined) checkIndexes(options.indexes)
  if (options.codec === undefined) return
  checkDecoder('`codec`', options.codec)
  if (options.persist !== undefined) assertFunction('codec.encode', options.codec.encode)
}

/** Validates the options of `ready()`. */
export function checkReadyOptions(options: ReadyOptions): void {
  checkCall('ready()', options, [...callOptionNames, 'allowStale'])
  optionalBoolean('allowStale', options.allowStale)
}

/** Validates the options of `events()`. */
export function checkEventsOptions(options: EventsOptions): void {
  assertKnownOptions('events()', options, ['from', 'signal'])
  const { from = 'initial' } = options
  if (typeof from === 'number') nonNegativeInteger('from', from)
  else if (from !== 'initial' && from !== 'now')
    throw new InvalidArgumentError(`\`from\` must be 'initial', 'now' or a revision, got ${describe(from)}`)
  optionalSignal('signal', options.signal)
}

const changeTypes = ['add', 'update', 'delete', 'change'] as const
const eventNames = ['ready', 'resync', 'error', 'invalid', 'handlerError'] as const

/** Whether `event` is an event of the informer as a whole rather than a change type. Throws if it is neither. */
export function isInformerEvent(event: string): event is keyof InformerEvents {
  oneOf('event', event, [...changeTypes, ...eventNames])
  return (eventNames as readonly string[]).includes(event)
}
