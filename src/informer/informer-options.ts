import type { Codec } from '../core/codec.js'
import { InvalidArgumentError } from '../core/errors.js'
import type { EncodedRange, KeyRange } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { assertKnownOptions, describe, nonNegativeInteger, oneOf, positiveInteger } from '../core/validate.js'
import type { Obstacle } from '../core/wait.js'
import type { ClusterIdentity } from '../transport/connection/cluster-identity.js'
import type { CallOptions } from '../transport/transport.js'
import type { InvalidEntry } from './draft.js'
import type { Entry } from './entry.js'
import { checkIndexes, type Indexes } from './index-table.js'
import type { Gap, ReflectedPage, ReflectedWatch } from './reflector.js'

/** Options of `informer()`. */
export interface InformerOptions<T, Name extends string = never> {
  /** How values are read. @default text */
  readonly codec?: Codec<T> | undefined
  /** Keys whose value it refuses are treated as if they did not exist. */
  readonly filter?: ((value: T, entry: Entry<T>) => boolean) | undefined
  /** What is kept of a value, for example without the parts that nobody reads. Comes after the filter. */
  readonly transform?: ((value: T, entry: Entry<T>) => T) | undefined
  /** Functions that give the terms by which `by()` finds an entry. They must depend on their arguments alone. */
  readonly indexes?: Indexes<T, Name> | undefined
  /** Most keys in a page of a listing. @default 10 000 */
  readonly maxPageSize?: number | undefined
  /** Changes that may wait for one handler; one that falls further behind is told only what came of them. @default 1000 */
  readonly maxQueuedChanges?: number | undefined
  /**
   * A file for the state, so that a service can start with it while etcd is out of reach: `ready({ allowStale: true })`.
   * Needs a codec that encodes. Written, for the owner alone, some seconds after changes and when the informer is closed.
   * Two informers of a process cannot share a file. One that holds the keys of another range, namespace, user or
   * cluster is not used, with an event `error`; where the cluster is not known yet, its first listing shows it, with an
   * event `resync` for `CLUSTER_CHANGED`.
   */
  readonly persist?: string | undefined
}

/** Options of `informer()` for values that are not text. */
export interface CodecInformerOptions<T, Name extends string = never> extends InformerOptions<T, Name> {
  readonly codec: Codec<T>
}

/** Options of `ready()`. */
export interface ReadyOptions extends CallOptions {
  /** Whether what `persist` has left on disk will do. @default false */
  readonly allowStale?: boolean | undefined
}

/** Options of `events()`. */
export interface EventsOptions {
  /** What to begin with: all there is, nothing, or what has changed since a revision. @default 'initial' */
  readonly from?: 'initial' | 'now' | number | undefined
  readonly signal?: AbortSignal | undefined
}

/** What happens to an informer as a whole. */
export interface InformerEvents {
  /** The first listing is there. */
  ready: { readonly revision: number; readonly size: number }
  /** A listing took the place of events that could not be had; handlers are told what it changed. */
  resync: {
    /** `COMPACTED`, `CLUSTER_CHANGED`, `REVISION_REWOUND`, or whatever else has ended the watch. */
    readonly reason: Gap['code']
    readonly fromRevision: number
    readonly compactRevision: number | undefined
    readonly toRevision: number
  }
  /** A listing failed (it is tried again), or the informer did, for good (`terminal`). */
  error: { readonly error: unknown; readonly terminal: boolean }
  /** A value could not be read. */
  invalid: InvalidEntry
  /** A handler threw, or its promise rejected; it gets the next change all the same. */
  handlerError: { readonly error: unknown }
}

/** What an informer reads from. */
export interface InformerSource {
  readonly obstacle?: Obstacle
  readonly cluster: Pick<ClusterIdentity, 'clusterId' | 'history' | 'onHistory'>
  /** Whose keys a state on disk holds. */
  readonly owner: { readonly range: EncodedRange; readonly user: string | undefined }
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

/** What is known of an informer now. */
export interface InformerStats {
  readonly state: 'listing' | 'watching' | 'retrying' | 'failed' | 'closed'
  /** The member that its watch is on. */
  readonly endpoint: string | undefined
  readonly size: number
  readonly revision: number
  /** Values that could not be read. */
  readonly invalid: number
  readonly resyncs: number
  /** How often the watch was lost and went on elsewhere, since the last listing. */
  readonly reconnects: number
  /** For each handler, the changes that wait for it and how often it fell too far behind. */
  readonly handlers: readonly { readonly queued: number; readonly overflows: number }[]
}

/** A handler that was subscribed. */
export interface InformerSubscription extends Disposable {
  /** Resolves when the handler has been told everything there was when it joined; rejects when it ends before. */
  readonly ready: Promise<void>
  close(): void
}

const optionNames = ['codec', 'filter', 'transform', 'indexes', 'maxPageSize', 'maxQueuedChanges', 'persist']

/** Checks the options of `informer()`. */
export function checkInformerOptions(options: InformerOptions<unknown, string>): void {
  assertKnownOptions('informer()', options, optionNames)
  if (options.maxPageSize !== undefined) positiveInteger('maxPageSize', options.maxPageSize)
  if (options.maxQueuedChanges !== undefined) positiveInteger('maxQueuedChanges', options.maxQueuedChanges)
  if (options.filter !== undefined) checkHandler(options.filter, 'filter')
  if (options.transform !== undefined) checkHandler(options.transform, 'transform')
  if (options.persist !== undefined && (typeof options.persist !== 'string' || options.persist === '')) {
    throw new InvalidArgumentError(`\`persist\` must be the path of a file, got ${describe(options.persist)}`)
  }
  if (options.indexes !== undefined) checkIndexes(options.indexes)
  if (options.codec !== undefined && typeof options.codec.decode !== 'function') {
    throw new InvalidArgumentError(`\`codec\` must have a function decode(), got ${describe(options.codec)}`)
  }
}

/** Refuses what cannot be called. */
export function checkHandler(handler: unknown, name = 'handler'): void {
  if (typeof handler !== 'function')
    throw new InvalidArgumentError(`\`${name}\` must be a function, got ${describe(handler)}`)
}

/** Checks the options of `events()`. */
export function checkEventsOptions(options: EventsOptions): void {
  assertKnownOptions('events()', options, ['from', 'signal'])
  const { from = 'initial' } = options
  if (typeof from === 'number') nonNegativeInteger('from', from)
  else if (from !== 'initial' && from !== 'now')
    throw new InvalidArgumentError(`\`from\` must be 'initial', 'now' or a revision, got ${describe(from)}`)
}

const changeTypes = ['add', 'update', 'delete', 'change'] as const
const eventNames = ['ready', 'resync', 'error', 'invalid', 'handlerError'] as const

/** Whether `event` is one of the informer as a whole, not one of its changes. Refuses what is neither. */
export function isInformerEvent(event: string): event is keyof InformerEvents {
  oneOf('event', event, [...changeTypes, ...eventNames])
  return (eventNames as readonly string[]).includes(event)
}
