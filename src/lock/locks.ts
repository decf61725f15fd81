import { AsyncLocalStorage } from 'node:async_hooks'
import { InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions, describe, durationMs, optionalSignal, positiveInteger } from '../core/validate.js'
import type { Lock } from './lock.js'
import type { LockQueue } from './lock-queue.js'
import type { LockQueues } from './lock-queues.js'
import type { LockRequest } from './lock-request.js'

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

/** What `withLock()` runs. */
export type LockedWork<Result> = (lock: Lock) => Result | Promise<Result>

const optionNames = ['ttlSeconds', 'timeoutMs', 'signal', 'value']
const defaults = { ttlSeconds: 10, waitMs: 60_000, tryMs: 10_000 }

/** A lock that the code which is running holds by `withLock()`. */
interface Held {
  readonly queue: LockQueue
  readonly lock: Lock
}

const held = new AsyncLocalStorage<readonly Held[]>()

/** The locks of one keyspace. */
export class Locks {
  readonly #queues: LockQueues
  readonly #namespace: Buffer

  constructor(queues: LockQueues, namespace: Buffer) {
    this.#queues = queues
    this.#namespace = namespace
  }

  async lock(name: string, options: LockOptions = {}): Promise<Lock> {
    return (await this.#acquire('lock()', name, options)).lock
  }

  async tryLock(name: string, options: LockOptions = {}): Promise<Lock> {
    const request = this.#request('tryLock()', name, options, defaults.tryMs)
    return this.#queues.of(this.#namespace, name).tryAcquire(request)
  }

  async withLock<Result>(name: string, options: LockOptions, work: LockedWork<Result>): Promise<Result> {
    assertWork(work)
    const entry = await this.#acquire('withLock()', name, options)
    const { lock } = entry
    try {
      return await raceLoss(
        lock,
        held.run([...(held.getStore() ?? []), entry], async () => work(lock)),
      )
    } finally {
      await lock.release()
    }
  }

  async #acquire(owner: string, name: string, options: LockOptions): Promise<Held> {
    const request = this.#request(owner, name, options, defaults.waitMs)
    const queue = this.#queues.of(this.#namespace, name)
    assertNotHeld(queue, name)
    return { queue, lock: await queue.acquire(request) }
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
      name,
      kind: 'lock',
      signal,
      value,
      ownKey: false,
    }
  }
}

/** Whoever waits for what he himself holds would wait in vain; see `AsyncLocalStorage` for what counts as himself. */
function assertNotHeld(queue: LockQueue, name: string): void {
  const isHeld = held.getStore()?.some((entry) => entry.queue === queue && entry.lock.isHeld())
  if (isHeld !== true) return
  throw new InvalidArgumentError(`lock ${JSON.stringify(name)} is held by the caller: locks are not re-entrant`)
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

function assertWork(work: unknown): void {
  if (typeof work !== 'function') {
    throw new InvalidArgumentError(`\`work\` must be a function, got ${describe(work)}`)
  }
}
