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
import { type Bytes, type EncodedRange, emptyKey, encodeRange, type KeyRange } from '../core/key-range.js'
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
import { type WatchOptions, watch } from '../watch/watch.js'
import type { WatchMultiplexer } from '../watch/watch-multiplexer.js'
import type { Watcher } from '../watch/watcher.js'
import { informerCopy } from './informer-copy.js'
import { withNamespace } from './namespace/namespace-kv.js'
import { prefixRange } from './namespace/namespace-range.js'
import { namespaceRangeStreams } from './namespace/namespace-range-streams.js'
import { namespaceWatch } from './namespace/namespace-watch.js'

/** What a keyspace works with: the client's own parts, and the prefix of its keys. */
export interface KeyspaceParts {
  /** Works on all keys of the cluster. */
  readonly kv: KvService
  /** The same, with writes in groups. */
  readonly groupedKv: KvService
  readonly readCache: ReadCache
  readonly watches: WatchMultiplexer
  readonly identity: ClusterIdentity
  /** The user that the client logs in as, where it has one. */
  readonly user: string | undefined
  readonly rangeStreams: RangeStreams
  readonly leases: Leases
  readonly telemetry: ClientTelemetry
  readonly limits: KvLimits
  readonly obstacle: Obstacle
  readonly release: ReleaseHost
  readonly prefix: Buffer
  /** Those of the client, for a keyspace that is a part of another one. */
  readonly queues?: LocalQueues
}

/** Everything that works on keys: all keys of the cluster, or those of a namespace. */
export class Keyspace extends Kv {
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
   * @param range A key, `{ key }`, `{ prefix }` or `{ from, to }`.
   * @returns An async iterable of events; leaving the loop closes the watch. See `Watcher` for the errors that end it.
   * @throws `InvalidArgumentError` for wrong arguments.
   * @example
   * const { kvs, revision } = await etcd.range({ prefix: 'config/' })
   * for await (const event of etcd.watch({ prefix: 'config/' }, { startRevision: revision + 1 })) apply(event)
   */
  watch(range: KeyRange, options: WatchOptions = {}): Watcher {
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
   * A copy of a range of keys in memory that follows the cluster: listed, then watched. It begins now; `ready()` resolves
   * when the listing is there. Throws `InvalidArgumentError` for wrong arguments.
   */
  informer<T, Name extends string = never>(range: KeyRange, options: CodecInformerOptions<T, Name>): Informer<T, Name>
  informer<Name extends string = never>(
    range: KeyRange,
    options?: InformerOptions<string, Name>,
  ): Informer<string, Name>
  informer<T, Name extends string>(range: KeyRange, options?: InformerOptions<T, Name>): Informer<T, Name> {
    return this.#inform(range, options)
  }

  /** One key in memory that follows the cluster, for a setting that is read often and changed rarely. */
  value(key: Bytes): ValueInformer<string>
  value<T>(key: Bytes, codec: Codec<T>): ValueInformer<T>
  value<T>(key: Bytes, codec?: Codec<T>): ValueInformer<T> {
    return new ValueInformer(this.#inform<T>({ key }, { codec }), key)
  }

  /**
   * Software transactional memory: runs `apply` with a transaction to read and write by, and commits what it wrote if nobody
   * else came in between; otherwise it runs it again, from the beginning, after a wait with jitter. The function may so be
   * run several times: it must have no other effects than those on its transaction.
   *
   * Rejects with what the function throws, with a `StmConflictError` after `maxAttempts` defeats, with `TOO_MANY_OPS` before
   * anything is sent for more keys than a transaction may have, and with the commit's error when its answer was lost: its
   * `effect` is then `unknown`, and it is not sent again.
   */
  stm<T>(apply: StmFunction<T>, options: StmOptions = {}): Promise<StmResult<T>> {
    return stm(this, apply, options, this.#parts.obstacle)
  }

  /**
   * Waits for a lock and takes it, in order with all others who want it: here, in other processes, by `etcdctl lock`.
   * Rejects with a `LockTimeoutError`; then, as when `signal` aborts, nothing of the attempt stays behind. Locks are not
   * re-entrant.
   */
  lock(name: string, options?: LockOptions): Promise<LockHandle> {
    return this.#locks.lock(name, options)
  }

  /** Takes a lock if nobody has it, or else rejects with a `LockUnavailableError` that tells who does. */
  tryLock(name: string, options?: LockOptions): Promise<LockHandle> {
    return this.#locks.tryLock(name, options)
  }

  /**
   * Runs `work` under a lock, which is given up whatever comes of it. When the lock is lost meanwhile this rejects at once
   * with a `LockLostError`, while `work` goes on until it heeds `lock.signal`.
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
   * Takes several locks, or none of them: each name once, in the order of their bytes, so that no two callers wait for each
   * other. `timeoutMs` bounds the wait for all. Rejects as `lock()` does; those that were taken are then given up.
   */
  lockAll(names: readonly string[], options: LockOptions = {}): Promise<MultiLock> {
    return lockAll(this.#locks, names, options, this.#parts.release)
  }

  /** A lock that many readers or one writer may hold. Nothing is sent before it is used. */
  rwLock(name: string): RwLock {
    return new RwLock(name, this.#concurrencyHost())
  }

  /** So many permits for all who use the semaphore by this name. Nothing is sent before it is used. */
  semaphore(name: string, permits: number): Semaphore {
    return new Semaphore(name, permits, this.#concurrencyHost())
  }

  /** What others wait at until it is released. Nothing is sent before it is used. */
  barrier(name: string): Barrier {
    return new Barrier(name, this.#concurrencyHost())
  }

  /** Lets `count` callers begin together and end together. Nothing is sent before it is used. */
  doubleBarrier(name: string, count: number, options: DoubleBarrierOptions = {}): DoubleBarrier {
    return new DoubleBarrier(name, count, options, this.#concurrencyHost())
  }

  /** Items for any number of consumers, first in, first out. Nothing is sent before it is used; make one for a process. */
  queue(name: string): Queue {
    return new Queue(name, this.#concurrencyHost())
  }

  /** Items for any number of consumers, by priority. Nothing is sent before it is used; make one for a process. */
  priorityQueue(name: string): PriorityQueue {
    return new PriorityQueue(name, this.#concurrencyHost())
  }

  /**
   * Puts a key that is there as long as this process is. It is put back when it was deleted or its lease was lost, and left
   * to another owner that has put it until that owner's key is gone; the client's events `registrationLost`,
   * `registrationTaken` and `registrationRestored` report that.
   */
  async register(key: Bytes, value: Bytes, options: RegisterOptions = {}): Promise<Registration> {
    checkCall('register()', options, [...callOptionNames, 'ttlSeconds'])
    if (keyBytes('key', key).length === 0) throw emptyKey()
    return this.#parts.leases.register(this, [key, value], options)
  }

  /** An election of one leader at a time; it interoperates with `etcdctl elect`. Nothing is sent before it is used. */
  election(name: string, options: ElectionOptions = {}): Election {
    return new Election(name, options, { store: this, queues: this.#queues, namespace: this.#parts.prefix })
  }

  /**
   * The same interface, with puts and deletions of single keys in groups: those that are made in the same tick, or while
   * some groups are awaited, go out as one transaction of up to `maxTxnOps` operations. For many writes of a process that
   * need not wait for each other: a group costs the cluster little more than one write.
   *
   * The writes of a group share their revision, and are applied together or not at all. Writes of one key are made one
   * after another, in order. Each is acknowledged by itself: where a group is refused with nothing done, its writes are made
   * again one by one, so that only the guilty ones fail; where its outcome is not known, each of them has effect `unknown`.
   */
  batcher(): Keyspace {
    return new Keyspace({ ...this.#parts, queues: this.#queues, kv: this.#parts.groupedKv })
  }

  /**
   * Copies the keys with a prefix to another client, or a namespace of one, and keeps the copies up to date. It begins
   * now; `synced()` resolves when both sides are the same. Throws `InvalidArgumentError` for wrong arguments; everything
   * else is told by `state` and events.
   */
  mirror(prefix: Bytes, destination: MirrorDestination, options: MirrorOptions = {}): Mirror {
    checkSides(this, destination, prefix, options)
    return new Mirror({ source: this, destination, obstacle: this.#obstacleTo(destination) }, prefix, options)
  }

  /**
   * The same interface over the keys that start with `prefix`, which is added to every key on the way in and taken off on
   * the way out. No key and no range leads outside of it. Namespaces nest, and live as long as their client.
   */
  namespace(prefix: Bytes): Keyspace {
    const bytes = keyBytes('prefix', prefix)
    if (bytes.length === 0) throw new InvalidArgumentError('`prefix` of a namespace must have at least one byte')
    return new Keyspace({ ...this.#parts, queues: this.#queues, prefix: Buffer.concat([this.#parts.prefix, bytes]) })
  }

  /** Without a codec values are text, and `T` is a string. */
  #inform<T, Name extends string = never>(range: KeyRange, options: InformerOptions<T, Name> = {}): Informer<T, Name> {
    checkInformerOptions(options as InformerOptions<unknown, string>)
    const encoded = encodeRange(range)
    if (encoded.key.length === 0) throw emptyKey()
    const { readCache, prefix, telemetry, watches } = this.#parts
    const whole = prefixRange(prefix, encoded)
    const informer = new Informer(this.#informerSource(whole), range, options, watches.closing)
    informer.onEnd(telemetry.informerOpened(whole, informer))
    const copy = informerCopy(informer, options, whole, prefix)
    if (copy !== undefined) informer.onEnd(readCache.add(copy))
    return informer
  }

  #informerSource(range: EncodedRange): InformerSource {
    const { identity, obstacle, user } = this.#parts
    return {
      obstacle,
      cluster: identity,
      owner: { range, user },
      list: (...listed) => this.list(...listed),
      watch: (...watched) => this.watch(...watched),
      range: (...read) => this.range(...read),
    }
  }

  /** They work on the keyspace of the whole cluster, whatever namespace the client has. */
  #newQueues(): LocalQueues {
    if (this.#parts.prefix.length === 0) return new LocalQueues(this.#concurrencyHost())
    return new Keyspace({ ...this.#parts, prefix: Buffer.alloc(0) }).#queues
  }

  /** What keeps this keyspace and another one from being reached. */
  #obstacleTo(other: object): Obstacle {
    const { obstacle } = this.#parts
    return #parts in other ? () => obstacle() ?? other.#parts.obstacle() : obstacle
  }

  #concurrencyHost(): ConcurrencyHost {
    const { leases, release, prefix, telemetry } = this.#parts
    const session = (ttlSeconds: number, signal: AbortSignal) => leases.shared(ttlSeconds, { signal })
    return { store: this, namespace: prefix, observer: telemetry, ...release, session }
  }
}

/** The parts that reach the keys of a namespace alone. */
function inNamespace({ kv, prefix, limits, leases, rangeStreams }: KeyspaceParts): KvParts {
  return {
    kv: withNamespace(kv, prefix),
    limits,
    leases,
    rangeStreams: namespaceRangeStreams(prefix, rangeStreams),
  }
}
