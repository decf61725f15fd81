import { AsyncLocalStorage } from 'node:async_hooks'
import { InvalidArgumentError } from '../core/errors.js'
import { assertFunction } from '../core/validate.js'
import { waitWithin } from '../core/wait.js'
import type { LocalQueue, LocalQueues } from './local-queue.js'
import type { LockHandle } from './lock-handle.js'
import { checkLockName, type LockOptions, type LockRequest, resolveLockOptions } from './lock-options.js'

/** The function that `withLock()` runs while the lock is held. */
export type LockedWork<Result> = (lock: LockHandle) => Result | Promise<Result>

/** A lock that the running code holds by `withLock()`. */
interface EnclosingLock {
  readonly queue: LocalQueue
  readonly lock: LockHandle
}

const enclosing = new AsyncLocalStorage<readonly EnclosingLock[]>()

/** The exclusive locks of one keyspace. */
export class Locks {
  readonly #queues: LocalQueues
  readonly #namespace: Buffer

  constructor(queues: LocalQueues, namespace: Buffer) {
    this.#queues = queues
    this.#namespace = namespace
  }

  async lock(name: string, options: LockOptions = {}): Promise<LockHandle> {
    return (await this.#acquire('lock()', name, options)).lock
  }

  async tryLock(name: string, options: LockOptions = {}): Promise<LockHandle> {
    const request = lockRequest('tryLock()', name, options, false)
    return this.#queues.of(this.#namespace, name).acquire(request)
  }

  async withLock<Result>(name: string, options: LockOptions, work: LockedWork<Result>): Promise<Result> {
    assertFunction('work', work)
    const entry = await this.#acquire('withLock()', name, options)
    const { lock } = entry
    try {
      return await raceLoss(
        lock,
        enclosing.run([...(enclosing.getStore() ?? []), entry], async () => work(lock)),
      )
    } finally {
      await lock.release()
    }
  }

  async #acquire(caller: string, name: string, options: LockOptions): Promise<EnclosingLock> {
    const request = lockRequest(caller, name, options, true)
    const queue = this.#queues.of(this.#namespace, name)
    assertNotHeld(queue, name)
    return { queue, lock: await queue.acquire(request) }
  }
}

function lockRequest(caller: string, name: string, options: LockOptions, waits: boolean): LockRequest {
  return {
    name: checkLockName(name),
    ...resolveLockOptions(caller, options, waits),
    kind: 'lock',
    waits,
    sharesKey: true,
  }
}

/** A caller that waits for a lock that it holds itself would wait in vain; `AsyncLocalStorage` decides what "itself" is. */
function assertNotHeld(queue: LocalQueue, name: string): void {
  const isHeld = enclosing.getStore()?.some((entry) => entry.queue === queue && entry.lock.isHeld())
  if (isHeld !== true) return
  throw new InvalidArgumentError(`lock ${JSON.stringify(name)} is held by the caller: locks are not re-entrant`)
}

/** The result of the work, or the loss of its lock at once, however long the work continues. */
async function raceLoss<Result>({ signal }: LockHandle, work: Promise<Result>): Promise<Result> {
  return waitWithin(work, { signal })
}
