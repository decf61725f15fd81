import type { ErrorCode } from '../core/errors.js'
import type { EncodedRange } from '../core/key-range.js'
import { begin, channels, outcomeOf, settleTraced, tracing } from './channels.js'
import type { InformerStats, WatchStats } from './client-stats.js'
import { describeRange, keyText } from './key-text.js'
import type {
  CallOutcome,
  ClientIdentity,
  ClusterRecord,
  ConnectRecord,
  InformerRecord,
  LeaseRecord,
  LockKind,
  LockRecord,
  RangeKind,
  StreamEvent,
  StreamTarget,
  WatchRecord,
} from './records.js'

/** Options of a client's records. */
export interface TelemetryOptions {
  readonly name: string
  readonly namespace: string | undefined
  /** Whether keys may be in records. */
  readonly keys: boolean
  readonly slowCallMs: number
}

/** A range as it appears in records. */
export interface RangeText {
  readonly range: RangeKind
  readonly keyText: string | undefined
}

/** The part of a watch that is observed. */
interface ObservedWatch extends WatchStats {
  /** Settles when a member has confirmed it. */
  readonly ready: Promise<unknown>
}

/** The part of an informer that is observed. */
interface ObservedInformer {
  on(event: 'ready', listener: (ready: { readonly revision: number; readonly size: number }) => void): unknown
  on(event: 'resync', listener: (resync: Resync) => void): unknown
  on(event: 'error', listener: (failure: { readonly error: unknown; readonly terminal: boolean }) => void): unknown
  stats(): InformerStats
}

interface Resync {
  readonly reason: ErrorCode
  readonly fromRevision: number
  readonly toRevision: number
}

/** The part of a lock that is observed. */
interface ObservedLock {
  readonly fence: number
  readonly signal: AbortSignal
}

interface RequestedLock {
  readonly name: Uint8Array
  readonly kind: LockKind
}

interface HeldLock {
  readonly kind: LockKind
  readonly name: string | undefined
  readonly grantedAt: number
}

/** A record without its client. */
type WithoutClient<Each> = Each extends unknown ? Omit<Each, 'client'> : never

const ok: CallOutcome = Object.freeze({ ok: true })
let clients = 0

/** Publishes the records of one client, and keeps its open watches and informers for `stats()`. */
export class ClientTelemetry {
  readonly client: ClientIdentity
  readonly slowCallMs: number
  readonly #keys: boolean
  readonly #watches = new Map<WatchStats, RangeText>()
  readonly #informers = new Map<ObservedInformer, RangeText>()
  readonly #held = new WeakMap<ObservedLock, HeldLock>()

  constructor({ name, namespace, keys, slowCallMs }: TelemetryOptions) {
    clients += 1
    this.client = Object.freeze({ id: clients, name, namespace })
    this.slowCallMs = slowCallMs
    this.#keys = keys
  }

  /** The open watches. */
  get watches(): (RangeText & WatchStats)[] {
    return [...this.#watches].map(([watch, text]) => {
      const { state, endpoint, revision, lag, buffered, reconnects } = watch
      return { ...text, state, endpoint, revision, lag, buffered, reconnects }
    })
  }

  /** The open informers. */
  get informers(): (RangeText & InformerStats)[] {
    return [...this.#informers].map(([informer, text]) => ({ ...text, ...informer.stats() }))
  }

  /** A range as it appears in records; without the key if keys must not. */
  range(key: Uint8Array, rangeEnd: Uint8Array | undefined): RangeText {
    const range = describeRange(key, rangeEnd)
    return { range: range.kind, keyText: range.key === undefined || !this.#keys ? undefined : keyText(range.key) }
  }

  connect(change: Omit<ConnectRecord, 'client'>): void {
    if (channels.connect.hasSubscribers) channels.connect.publish({ client: this.client, ...change })
  }

  cluster(change: Omit<ClusterRecord, 'client'>): void {
    if (channels.cluster.hasSubscribers) channels.cluster.publish({ client: this.client, ...change })
  }

  stream(target: StreamTarget, event: StreamEvent): void {
    if (channels.stream.hasSubscribers) channels.stream.publish({ client: this.client, ...target, ...event })
  }

  watch(record: WithoutClient<WatchRecord>): void {
    if (channels.watch.hasSubscribers) channels.watch.publish({ client: this.client, ...record })
  }

  lease(record: WithoutClient<LeaseRecord>): void {
    if (channels.lease.hasSubscribers) channels.lease.publish({ client: this.client, ...record })
  }

  informer(record: WithoutClient<InformerRecord>): void {
    if (channels.informer.hasSubscribers) channels.informer.publish({ client: this.client, ...record })
  }

  lock(record: WithoutClient<LockRecord>): void {
    if (channels.lock.hasSubscribers) channels.lock.publish({ client: this.client, ...record })
  }

  /** Follows a watch. Returns the function to call at its end. */
  watchOpened({ key, rangeEnd }: EncodedRange, watch: ObservedWatch): (error?: unknown) => void {
    const text = this.range(key, rangeEnd)
    this.#watches.set(watch, text)
    if (tracing.watch.hasSubscribers) this.#traceWatch(text, watch)
    this.watch({ type: 'opened', ...text })
    return (error) => {
      this.#watches.delete(watch)
      this.watch({ type: 'ended', ...text, reconnects: watch.reconnects, error })
    }
  }

  /** Follows an informer. Returns the function to call at its end. */
  informerOpened({ key, rangeEnd }: EncodedRange, informer: ObservedInformer): () => void {
    const text = this.range(key, rangeEnd)
    this.#informers.set(informer, text)
    informer.on('ready', ({ revision, size }) => this.informer({ type: 'ready', ...text, revision, size }))
    informer.on('resync', ({ reason, fromRevision, toRevision }) =>
      this.informer({ type: 'resync', ...text, reason, fromRevision, toRevision }),
    )
    informer.on('error', ({ error, terminal }) => this.informer({ type: 'error', ...text, terminal, error }))
    return () => this.#informers.delete(informer)
  }

  /** Follows the wait for a lock, and the lock until it is released or lost. */
  async acquiring<Lock extends ObservedLock>(requested: RequestedLock, wait: () => Promise<Lock>): Promise<Lock> {
    const startedAt = performance.now()
    const { kind } = requested
    const name = this.#keys ? keyText(requested.name) : undefined
    const start = { client: this.client, kind, name }
    const end = (fence: number | undefined, outcome: CallOutcome, error?: unknown): void => {
      const ending = { durationMs: performance.now() - startedAt, fence, outcome }
      settleTraced(tracing.lock, Object.assign(start, ending), error)
      this.lock({ type: outcome.ok ? 'granted' : 'refused', kind, name, ...ending })
    }
    try {
      const lock = await begin(tracing.lock, start, wait)
      this.#held.set(lock, { kind, name, grantedAt: performance.now() })
      lock.signal.addEventListener('abort', () => this.#lockLost(lock), { once: true })
      end(lock.fence, ok)
      if (lock.signal.aborted) this.#lockLost(lock)
      return lock
    } catch (error) {
      end(undefined, outcomeOf(error), error)
      throw error
    }
  }

  /** A lock was released. */
  lockReleased(lock: ObservedLock): void {
    const held = this.#held.get(lock)
    if (held === undefined) return
    this.#held.delete(lock)
    const { kind, name, grantedAt } = held
    this.lock({ type: 'released', kind, name, heldMs: performance.now() - grantedAt })
  }

  #lockLost(lock: ObservedLock): void {
    const held = this.#held.get(lock)
    if (held === undefined) return
    this.#held.delete(lock)
    const { kind, name, grantedAt } = held
    this.lock({ type: 'lost', kind, name, heldMs: performance.now() - grantedAt, error: lock.signal.reason })
  }

  #traceWatch(text: RangeText, watch: ObservedWatch): void {
    const startedAt = performance.now()
    const start = { client: this.client, ...text }
    const end = (outcome: CallOutcome, error?: unknown): void => {
      const ending = { endpoint: watch.endpoint, durationMs: performance.now() - startedAt, outcome }
      settleTraced(tracing.watch, Object.assign(start, ending), error)
    }
    begin(tracing.watch, start, () => watch.ready).then(
      () => end(ok),
      (error: unknown) => end(outcomeOf(error), error),
    )
  }
}
