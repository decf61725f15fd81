import { AsyncLocalStorage } from 'node:async_hooks'
import { InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions, describe, durationMs, optionalSignal, positiveInteger } from '../core/validate.js'
import type { Lock } from './lock.js'
import { LockQueue, type LockQueueHost, type LockRequest } from './lock-queue.js'

/** Options of `lock()`, `tryLock()` and `withLock()`. */
export interface LockOptions {
  /** How long the lock outlives a process that dies, or that cannot reach the cluster. @default 10 */
  readonly ttlSeconds?: number | undefined
  /** Bound of the wait. @default 60 000; of `tryLock()` 10 000 */
  readonly timeoutMs?: number | undefined
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined
  /** What others see in the key while the lock is held, for example who holds it. @default '' */
  readonly value?: string | undefined
}

const optionNames = ['ttlSeconds', 'timeoutMs', 'signal', 'value']
/** After so many holders in one process, the others get their turn. */
const mostHandOvers = 16
const defaults = { ttlSeconds: 10, waitMs: 60_000, tryMs: 10_000 }

/** The locks of one keyspace. */
export class Locks {
  readonly #host: LockQueueHost
  readonly #queues = new Map<string, LockQueue>()
  /** The names that the code which is running holds by `withLock()`. */
  readonly #held = new AsyncLocalStorage<readonly string[]>()

  constructor(host: Omit<LockQueueHost, 'mostHandOvers'>) {
    this.#host = { ...host, mostHandOvers }
  }

  async lock(name: string, options: LockOptions = {}): Promise<Lock> {
    const request = this.#request('lock()', name, options, defaults.waitMs)
    return this.#queue(name).acquire(request)
  }

  async tryLock(name: string, options: LockOptions = {}): Promise<Lock> {
    const request = this.#request('tryLock()', name, options, defaults.tryMs)
    return this.#queue(name).tryAcquire(request)
  }

  async withLock<Result>(
    name: string,
    options: LockOptions,
    work: (lock: Lock) => Result | Promise<Result>,
  ): Promise<Result> {
    if (typeof work !== 'function') throw new InvalidArgumentError(`\`work\` must be a function, got ${describe(work)}`)
    const held = this.#held.getStore() ?? []
    if (held.includes(name)) {
      throw new InvalidArgumentError(`lock ${JSON.stringify(name)} is held by the caller: locks are not re-entrant`)
    }
    const lock = await this.lock(name, options)
    try {
      return await raceLoss(
        lock,
        this.#held.run([...held, name], async () => work(lock)),
      )
    } finally {
      await lock.release()
    }
  }

  #request(owner: string, name: unknown, options: LockOptions, defaultTimeoutMs: number): LockRequest {
    if (typeof name !== 'string' || name === '') {
      throw new InvalidArgumentError(`\`name\` must be a string of at least one letter, got ${describe(name)}`)
    }
    assertKnownOptions(owner, options, optionNames)
    const { value = '' } = options
    if (typeof value !== 'string') throw new InvalidArgumentError(`\`value\` must be a string, got ${describe(value)}`)
    const signal = optionalSignal('signal', options.signal)
    signal?.throwIfAborted()
    return {
      ttlSeconds: positiveInteger('ttlSeconds', options.ttlSeconds ?? defaults.ttlSeconds),
      timeoutMs: durationMs('timeoutMs', options.timeoutMs ?? defaultTimeoutMs),
      signal,
      value,
    }
  }

  #queue(name: string): LockQueue {
    const queue = this.#queues.get(name) ?? new LockQueue(name, this.#host, () => this.#queues.delete(name))
    this.#queues.set(name, queue)
    return queue
  }
}

/** The work's result, or the loss of its lock at once, however long the work goes on. */
function raceLoss<Result>({ signal }: Lock, work: Promise<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    const onLost = (): void => reject(signal.reason)
    if (signal.aborted) onLost()
    signal.addEventListener('abort', onLost, { once: true })
    const settle = (): void => signal.removeEventListener('abort', onLost)
    work.then(
      (result) => {
        settle()
        resolve(result)
      },
      (error: unknown) => {
        settle()
        reject(error)
      },
    )
  })
}
