import { Barrier } from '../concurrency/barrier.js'
import type { ConcurrencyHost } from '../concurrency/concurrency-host.js'
import { DoubleBarrier, type DoubleBarrierOptions } from '../concurrency/double-barrier.js'
import { Election, type ElectionOptions } from '../concurrency/election.js'
import { LocalQueues } from '../concurrency/local-queue.js'
import type { LockHandle } from '../concurrency/lock-handle.js'
import type { LockOptions } from '../concurrency/lock-options.js'
import { type LockedWork, Locks } from '../concurrency/locks.js'
import { lockAll, type MultiLock } from '../concurrency/multi-lock.js'
import { PriorityQueue } from '../concurrency/queues/priority-queue.js'
import { Queue } from '../concurrency/queues/queue.js'
import type { ReleaseHost } from '../concurrency/release.js'
import { RwLock } from '../concurrency/rw-lock.js'
import { Semaphore } from '../concurrency/semaphore.js'
import { type StmFunction, type StmOptions, type StmResult, stm } from '../concurrency/stm/stm.js'
import type { Codec } from '../core/codec.js'
import { InvalidArgumentError } from '../core/errors.js'
import { type Bytes, type EncodedRange, emptyKey, encodeRange, type KeyRange, ownRange } from '../core/key-range.js'
import { printAs, printedBytes } from '../core/printing.js'
import { keyBytes } from '../core/validate.js'
import type { Obstacle } from '../core/wait.js'
import { Informer } from '../informer/informer.js'
import {
  type CodecInformerOptions,
  checkInformerOptions,
  type InformerOptions,
  type InformerSource,
} from '../informer/informer-options.js'
import { ValueInformer } from '../informer/value-informer.js'
import { Kv, type KvLimits, type KvParts } from '../kv/kv.js'
import type { KvService } from '../kv/kv-service.js'
import type { RangeStreams } from '../kv/range-stream.js'
import type { ReadCache } from '../kv/reads/read-cache.js'
import type { Leases } from '../lease/leases.js'
import type { RegisterOptions, Registration } from '../lease/registration.js'
import { Mirror } from '../mirror/mirror.js'
import { checkSides, type MirrorDestination, type MirrorOptions } from '../mirror/mirror-options.js'
import type { ClientTelemetry } from '../telemetry/client-telemetry.js'
import { callOptionNames, checkCall } from '../transport/call-options.js'
import type { ClusterIdentity } from '../transport/connection/cluster-identity.js'
import { TypedKeyspace } from '../typed/typed-keyspace.js'
import { type WatchOptions, watch } from '../watch/watch.js'
import type { WatchMultiplexer } from '../watch/watch-multiplexer.js'
import type { Watcher } from '../watch/watcher.js'
import { explainForeignCalls } from './foreign-calls.js'
import { informerCopy } from './informer-copy.js'
import { withNamespace } from './namespace/namespace-kv.js'
import { rangeInNamespace } from './namespace/namespace-range.js'
import { namespaceRangeStreams } from './namespace/namespace-range-streams.js'
import { namespaceWatch } from './namespace/namespace-watch.js'

/** Dependencies of a keyspace: the client's parts, and the prefix of its keys. */
export interface KeyspaceParts {
  /** Operates on all keys of the cluster. */
  readonly kv: KvService
  /** The same service with grouped writes. */
  readonly groupedKv: KvService
  readonly readCache: ReadCache
  readonly watches: WatchMultiplexer
  readonly identity: ClusterIdentity
  /** The user name of the client, if any. */
  readonly user: string | undefined
  readonly rangeStreams: RangeStreams
  readonly leases: Leases
  readonly telemetry: ClientTelemetry
  readonly limits: KvLimits
  readonly obstacle: Obstacle
  readonly release: ReleaseHost
  readonly prefix: Buffer
  /** The queues of the client, if this keyspace is part of another one. */
  readonly queues?: LocalQueues
}

/** The API on keys: all keys of the cluster, or those of a namespace. */
export class Keyspace extends Kv {
  static {
    explainForeignCalls(this.prototype)
    printAs(this, (keyspace) => ({ prefix: printedBytes(keyspace.#parts.prefix) }))
  }
  readonly #parts: KeyspaceParts
  readonly #queues: LocalQueues
  readonly #locks: Locks

  constructor(parts: KeyspaceParts) {
    super(parts.prefix.length === 0 ? parts : inNamespace(parts))
    this.#parts = parts
    this.#queues = parts.queues ?? this.#newQueues()
    this.#locks = new Locks(this.#queues, parts.prefix)
  }

  /**
   * Watches a key or a range of keys. The events arrive ordered by revision, each exactly once, also when connections are
   * lost or members restart. The watch starts immediately; `ready()` resolves when a member has confirmed it.
   *
   * @param range A key, `{ key }`, `{ prefix }` or `{ from, to }`, or an array of these: their events arrive together, ordered by
   *   revision and each once, also where ranges overlap.
   * @returns An async iterable of events; leaving the loop closes the watch. See `Watcher` for the errors that end it.
   * @throws `InvalidArgumentError` for wrong arguments.
   * @example
   * const { kvs, revision } = await etcd.range({ prefix: 'config/' })
   * for await (const event of etcd.watch({ prefix: 'config/' }, { startRevision: revision + 1 })) apply(event)
   */
  watch(range: KeyRange | readonly KeyRange[], options: WatchOptions = {}): Watcher {
    const { watches, prefix, telemetry, obstacle } = this.#parts
    return watch(
      {
        multiplexer: watches,
        obstacle,
        translation: prefix.length === 0 ? undefined : namespaceWatch(prefix),
        pages: (listed) => (paging) =>
          this.list(listed, { mode: 'linearizable', onCompacted: 'restart', ...paging }).pages(),
        opened: (spec, opened) => telemetry.watchOpened(spec, opened),
      },
      range,
      options,
    )
  }

  /**
   * Starts an informer: an in-memory copy of a range of keys that follows the cluster. `ready()` resolves when the
   * first listing is complete.
   *
   * @param range A key, `{ key }`, `{ prefix }` or `{ from, to }`.
   * @throws `InvalidArgumentError` for invalid arguments.
   * @example
   * ```ts
   * await using flags = etcd.informer({ prefix: 'flags/' })
   * await flags.ready()
   * console.log(flags.get('flags/dark'))
   * ```
   */
  informer<T, Name extends string = never>(range: KeyRange, options: CodecInformerOptions<T, Name>): Informer<T, Name>
  informer<Name extends string = never>(
    range: KeyRange,
    options?: InformerOptions<string, Name>,
  ): Informer<string, Name>
  informer<T, Name extends string>(range: KeyRange, options?: InformerOptions<T, Name>): Informer<T, Name> {
    return this.#inform(range, options)
  }

  /**
   * Starts an in-memory copy of one key that follows the cluster, for a setting that is read often. Its value is text.
   */
  value(key: Bytes): ValueInformer<string>
  /**
   * Starts an in-memory copy of one key that follows the cluster, for a setting that is read often.
   *
   * @param codec Decodes the value.
   */
  value<T>(key: Bytes, codec: Codec<T, never>): ValueInformer<T>
  value<T>(key: Bytes, codec?: Codec<T, never>): ValueInformer<T> {
    return new ValueInformer(this.#inform<T>({ key }, { codec }), key)
  }

  /**
   * Software transactional memory: runs `apply` with a transaction for reads and writes, and commits its writes if no
   * other client has changed what it read. Otherwise it runs `apply` again, after a delay with jitter. `apply` may
   * therefore run several times, and must have no effects except on its transaction.
   *
   * @returns The result of `apply`, whether anything changed, and the revision.
   * @throws What `apply` throws; `StmConflictError` after `maxAttempts` conflicts; `DEADLINE_EXCEEDED` after `timeoutMs`, which
   *   includes the time that `apply` takes; `TOO_MANY_OPS`, before anything is sent, if it uses more keys than a transaction may
   *   have. If the response to the commit was lost, the error has the effect `unknown`, and the commit is not repeated.
   */
  stm<T>(apply: StmFunction<T>, options: StmOptions = {}): Promise<StmResult<T>> {
    const { limits, obstacle } = this.#parts
    return stm(this, apply, options, { obstacle, timeoutMs: limits.timeoutMs })
  }

  /**
   * Acquires a lock. Waiters queue in order of arrival, in all processes, including `etcdctl lock` and Go's clientv3.
   * Locks are not re-entrant.
   *
   * @throws `LockTimeoutError` after `timeoutMs`. A rejected or aborted attempt leaves no key behind.
   * @example
   * ```ts
   * await using lock = await etcd.lock('jobs/nightly', { ttlSeconds: 10 })
   * ```
   */
  lock(name: string, options?: LockOptions): Promise<LockHandle> {
    return this.#locks.lock(name, options)
  }

  /**
   * Acquires a lock if it is free.
   *
   * @throws `LockUnavailableError`, with the holder, if it is not.
   */
  tryLock(name: string, options?: LockOptions): Promise<LockHandle> {
    return this.#locks.tryLock(name, options)
  }

  /**
   * Runs `work` while holding a lock, and releases the lock afterwards. If the lock is lost, this rejects immediately,
   * while `work` continues until it reacts to `lock.signal`.
   *
   * @returns The result of `work`.
   * @throws What `work` throws, `LockLostError`, or the errors of `lock()`.
   */
  withLock<Result>(name: string, work: LockedWork<Result>): Promise<Result>
  withLock<Result>(name: string, options: LockOptions, work: LockedWork<Result>): Promise<Result>
  withLock<Result>(
    name: string,
    ...rest: [work: LockedWork<Result>] | [options: LockOptions, work: LockedWork<Result>]
  ): Promise<Result> {
    const [options, work] = rest.length === 1 ? [{}, rest[0]] : rest
    return this.#locks.withLock(name, options, work)
  }

  /**
   * Acquires several locks, or none: each name once, in the order of their bytes, which prevents deadlocks. `timeoutMs`
   * limits the wait for all of them.
   *
   * @throws The errors of `lock()`; locks acquired so far are then released.
   */
  lockAll(names: readonly string[], options: LockOptions = {}): Promise<MultiLock> {
    return lockAll(this.#locks, names, options, this.#parts.release)
  }

  /** Returns a lock for many readers or one writer. Sends nothing until it is used. */
  rwLock(name: string): RwLock {
    return new RwLock(name, this.#concurrencyHost())
  }

  /** Returns a semaphore with a fixed number of permits for all its users. Sends nothing until it is used. */
  semaphore(name: string, permits: number): Semaphore {
    return new Semaphore(name, permits, this.#concurrencyHost())
  }

  /** Returns a barrier that others wait at until it is released. Sends nothing until it is used. */
  barrier(name: string): Barrier {
    return new Barrier(name, this.#concurrencyHost())
  }

  /** Returns a barrier at which `count` callers start together and finish together. Sends nothing until it is used. */
  doubleBarrier(name: string, count: number, options: DoubleBarrierOptions = {}): DoubleBarrier {
    return new DoubleBarrier(name, count, options, this.#concurrencyHost())
  }

  /**
   * Returns a first-in, first-out queue for any number of consumers. Sends nothing until it is used; create one per
   * process.
   */
  queue(name: string): Queue {
    return new Queue(name, this.#concurrencyHost())
  }

  /** Returns a priority queue for any number of consumers. Sends nothing until it is used; create one per process. */
  priorityQueue(name: string): PriorityQueue {
    return new PriorityQueue(name, this.#concurrencyHost())
  }

  /**
   * Puts a key for the lifetime of this process. The key is restored if it is deleted or its lease is lost. If another
   * owner writes it, it is left alone until that owner's key is gone. The client emits `registrationLost`,
   * `registrationTaken` and `registrationRestored`.
   */
  async register(key: Bytes, value: Bytes, options: RegisterOptions = {}): Promise<Registration> {
    checkCall('register()', options, [...callOptionNames, 'ttlSeconds'])
    if (keyBytes('key', key).length === 0) throw emptyKey()
    return this.#parts.leases.register(this, [key, value], options)
  }

  /**
   * Returns an election of one leader at a time, compatible with `etcdctl elect` and Go's clientv3. Sends nothing until
   * it is used.
   */
  election(name: string, options: ElectionOptions = {}): Election {
    return new Election(name, options, { store: this, queues: this.#queues, namespace: this.#parts.prefix })
  }

  /**
   * Returns the same API with grouped writes: puts and deletions of single keys that are made in the same tick, or
   * while groups are in flight, are sent as one transaction of up to `maxTxnOps` operations. For many independent
   * writes of one process: a group costs the cluster little more than one write.
   *
   * The writes of a group share their revision, and are applied together or not at all. Writes to one key keep their
   * order. Each write settles separately: if a group is rejected without effect, its writes are repeated one by one, so
   * only the offending ones fail; if the outcome of a group is unknown, each of its writes has the effect `unknown`.
   */
  batcher(): Keyspace {
    return new Keyspace({ ...this.#parts, queues: this.#queues, kv: this.#parts.groupedKv })
  }

  /**
   * Starts a mirror, which copies the keys with a prefix to another client or namespace and keeps the copies up to
   * date. `synced()` resolves when both sides are equal. Failures are reported by `state` and events.
   *
   * @throws `InvalidArgumentError` for invalid arguments.
   */
  mirror(prefix: Bytes, destination: MirrorDestination, options: MirrorOptions = {}): Mirror {
    checkSides(this, destination, prefix, options)
    return new Mirror({ source: this, destination, obstacle: this.#obstacleTo(destination) }, prefix, options)
  }

  /**
   * Returns the same API confined to the keys that start with `prefix`, which is added to every key on the way in and
   * removed on the way out. No key or range reaches outside of it. Namespaces nest, and live as long as their client.
   */
  namespace(prefix: Bytes): Keyspace {
    const bytes = keyBytes('prefix', prefix)
    if (bytes.length === 0) throw new InvalidArgumentError('`prefix` of a namespace must have at least one byte')
    return new Keyspace({ ...this.#parts, queues: this.#queues, prefix: Buffer.concat([this.#parts.prefix, bytes]) })
  }

  /**
   * Returns the keys that start with `prefix` as values of a type: the same calls, with values where this API has bytes, and keys
   * without the prefix.
   *
   * @param codec Converts the values, for example `json<User>()`, or `json(schema)` with a schema of zod, valibot or arktype.
   * @throws `InvalidArgumentError` for anything but a codec.
   * @example
   * ```ts
   * const users = etcd.typed('users/', json<User>())
   * await users.put('ada', { name: 'Ada' })
   * await users.update('ada', (user) => ({ ...user, name: 'Ada Lovelace' }))
   * ```
   */
  typed<T, Input>(prefix: Bytes, codec: Codec<T, Input>): TypedKeyspace<T, Input> {
    const isWhole = keyBytes('prefix', prefix).length === 0
    return new TypedKeyspace(isWhole ? this : this.namespace(prefix), prefix, codec)
  }

  /** Without a codec values are text, and `T` is a string. */
  #inform<T, Name extends string = never>(range: KeyRange, options: InformerOptions<T, Name> = {}): Informer<T, Name> {
    checkInformerOptions(options as InformerOptions<unknown, string>)
    const own = ownRange(range)
    const encoded = encodeRange(own)
    if (encoded.key.length === 0) throw emptyKey()
    const { readCache, prefix, telemetry, watches } = this.#parts
    const whole = rangeInNamespace(prefix, encoded)
    const informer = new Informer(this.#informerSource(whole), own, options, watches.closing)
    informer.onEnd(telemetry.informerOpened(whole, informer))
    const copy = informerCopy(informer, options, whole, prefix)
    if (copy !== undefined) informer.onEnd(readCache.add(copy))
    return informer
  }

  #informerSource(range: EncodedRange): InformerSource {
    const { identity, obstacle, user, prefix } = this.#parts
    return {
      obstacle,
      cluster: identity,
      owner: { range, namespace: prefix, user },
      list: (...listed) => this.list(...listed),
      watch: (...watched) => this.watch(...watched),
      range: (...read) => this.range(...read),
    }
  }

  /** The queues operate on the keyspace of the whole cluster, whatever namespace the client has. */
  #newQueues(): LocalQueues {
    if (this.#parts.prefix.length === 0) return new LocalQueues(this.#concurrencyHost())
    return new Keyspace({ ...this.#parts, prefix: Buffer.alloc(0) }).#queues
  }

  /** Why this keyspace or another one cannot be reached. */
  #obstacleTo(other: object): Obstacle {
    const { obstacle } = this.#parts
    return #parts in other ? () => obstacle() ?? other.#parts.obstacle() : obstacle
  }

  #concurrencyHost(): ConcurrencyHost {
    const { leases, release, prefix, telemetry, limits } = this.#parts
    const session = (ttlSeconds: number, signal: AbortSignal) => leases.shared(ttlSeconds, { signal })
    return { store: this, namespace: prefix, observer: telemetry, timeoutMs: limits.timeoutMs, ...release, session }
  }
}

/** The parts confined to a namespace. */
function inNamespace({ kv, prefix, limits, leases, rangeStreams }: KeyspaceParts): KvParts {
  return {
    kv: withNamespace(kv, prefix),
    limits,
    leases,
    rangeStreams: namespaceRangeStreams(prefix, rangeStreams),
  }
}
