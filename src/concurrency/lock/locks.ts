import { AsyncLocalStorage } from 'node:async_hooks'
import { InvalidArgumentError } from '../../core/errors.js'
import { describe } from '../../core/validate.js'
import type { Lock } from './lock.js'
import { checkLockName, type LockOptions, lockTerms } from './lock-options.js'
import type { LockQueue } from './lock-queue.js'
import type { LockQueues } from './lock-queues.js'
import type { LockRequest } from './lock-request.js'

/** What `withLock()` runs. */
export type LockedWork<Result> = (lock: Lock) => Result | Promise<Result>

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
    const wanted = request('tryLock()', name, options, false)
    return this.#queues.of(this.#namespace, name).tryAcquire(wanted)
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
    const wanted = request(owner, name, options, true)
    const queue = this.#queues.of(this.#namespace, name)
    assertNotHeld(queue, name)
    return { queue, lock: await queue.acquire(wanted) }
  }
}

function request(owner: string, name: string, options: LockOptions, waits: boolean): LockRequest {
  return { name: checkLockName(name), ...lockTerms(owner, options, waits), kind: 'lock', ownKey: false }
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
