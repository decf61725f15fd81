import { longestTimerMs } from '../core/abort.js'
import { isEtcdError } from '../core/errors.js'
import { Lock } from './lock.js'
import { LockTimeoutError, LockUnavailableError } from './lock-errors.js'
import { LockKey, type LockSession, type LockStore, readHolder } from './lock-key.js'

/** What the queues of a client work with. */
export interface LockQueueHost {
  /** How often a lock may go from one to the next in this process while others wait. */
  readonly mostHandOvers: number
  readonly store: LockStore
  /** A part in a lease that is kept alive. */
  session(ttlSeconds: number, signal: AbortSignal): Promise<LockSession>
}

/** One who wants the lock. */
export interface LockRequest {
  readonly ttlSeconds: number
  readonly value: string
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

interface Waiter extends LockRequest {
  readonly resolve: (lock: Lock) => void
  readonly reject: (reason: unknown) => void
}

/** A key that is ours, and the lease that it is under. */
interface Hold {
  readonly key: LockKey
  readonly ttlSeconds: number
  /** How often the lock went from one to the next in this process without leaving it. */
  handOvers: number
}

type QueueState =
  | { readonly kind: 'idle' }
  /** Waiting for our turn among the processes, for the first of the waiters here. */
  | { readonly kind: 'acquiring'; readonly abort: AbortController }
  | { readonly kind: 'held'; readonly hold: Hold; readonly lock: Lock }
  /** Between two holders, or on the way out. */
  | { readonly kind: 'passing' }

/**
 * Those of one process that want one lock, in order. They have one key in etcd among them, so that the cluster sees one
 * waiter for each process; the lock goes from one to the next by a single write.
 */
export class LockQueue {
  readonly #name: string
  readonly #host: LockQueueHost
  readonly #onIdle: () => void
  readonly #waiters: Waiter[] = []
  #state: QueueState = { kind: 'idle' }

  constructor(name: string, host: LockQueueHost, onIdle: () => void) {
    this.#name = name
    this.#host = host
    this.#onIdle = onIdle
  }

  /** Waits for the lock. */
  acquire(request: LockRequest): Promise<Lock> {
    return new Promise((resolve, reject) => {
      const { signal, timeoutMs } = request
      const settle =
        <Value>(settled: (value: Value) => void) =>
        (value: Value): void => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', onAbort)
          settled(value)
        }
      const waiter: Waiter = { ...request, resolve: settle(resolve), reject: settle(reject) }
      const onAbort = (): void => this.#giveUp(waiter, signal?.reason)
      const timer =
        timeoutMs === Number.POSITIVE_INFINITY
          ? undefined
          : setTimeout(
              () => this.#giveUp(waiter, new LockTimeoutError(this.#name, timeoutMs)),
              Math.min(timeoutMs, longestTimerMs),
            )
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiters.push(waiter)
      if (this.#state.kind === 'idle') void this.#serve()
    })
  }

  /** Takes the lock if nobody has it, here or elsewhere. */
  async tryAcquire(request: LockRequest): Promise<Lock> {
    if (this.#state.kind !== 'idle') throw await this.#unavailable(request)
    this.#state = { kind: 'passing' }
    let hold: Hold | undefined
    try {
      const signal = boundOf(request)
      hold = await this.#newHold(request.ttlSeconds, signal)
      const taken = await hold.key.tryAcquire(request.value, { signal })
      if (typeof taken !== 'number') throw new LockUnavailableError(this.#name, taken)
      return this.#hold(hold, taken)
    } catch (error) {
      await this.#abandon(hold, !isEtcdError(error, 'LOCK_UNAVAILABLE'))
      void this.#serve()
      throw error
    }
  }

  async #unavailable({ timeoutMs, signal }: LockRequest): Promise<LockUnavailableError> {
    const isOurs = this.#state.kind !== 'acquiring'
    const holder = isOurs ? undefined : await readHolder(this.#name, this.#host.store, { timeoutMs, signal })
    return new LockUnavailableError(this.#name, holder)
  }

  /** Gets the lock for the first waiter, as often as that takes. */
  async #serve(): Promise<void> {
    for (let first = this.#waiters[0]; first !== undefined; first = this.#waiters[0]) {
      const abort = new AbortController()
      this.#state = { kind: 'acquiring', abort }
      let hold: Hold | undefined
      try {
        hold = await this.#newHold(first.ttlSeconds, abort.signal)
        const fence = await hold.key.acquire(first.value, { signal: abort.signal })
        if (this.#grant(hold, fence)) return
        await this.#abandon(hold, true)
      } catch (error) {
        if (isEtcdError(error, 'LEASE_NOT_FOUND')) await hold?.key.session.revoke()
        await this.#abandon(hold, true)
        // A lease that ended while we waited takes our place with it: we queue up anew.
        if (!abort.signal.aborted && hold?.key.session.isAlive() !== false && !isEtcdError(error, 'LOCK_LOST')) {
          this.#refuseAll(error)
        }
      }
    }
    this.#state = { kind: 'idle' }
    this.#onIdle()
  }

  /** Gives the lock to the first waiter, if there still is one. */
  #grant(hold: Hold, fence: number): boolean {
    const waiter = this.#waiters.shift()
    if (waiter === undefined) return false
    waiter.resolve(this.#hold(hold, fence))
    return true
  }

  #hold(hold: Hold, fence: number): Lock {
    const lock = new Lock(this.#name, hold.key, fence, (released) => this.#release(released))
    this.#state = { kind: 'held', hold, lock }
    lock.signal.addEventListener('abort', () => void this.#lost(lock), { once: true })
    return lock
  }

  async #release(lock: Lock): Promise<void> {
    if (this.#state.kind !== 'held' || this.#state.lock !== lock) return
    const { hold } = this.#state
    this.#state = { kind: 'passing' }
    const next = this.#waiters[0]
    const mayHandOver = next?.ttlSeconds === hold.ttlSeconds && hold.handOvers < this.#host.mostHandOvers
    if (next !== undefined && mayHandOver && (await this.#handOver(hold, next))) return
    await this.#abandon(hold, true)
    void this.#serve()
  }

  async #handOver(hold: Hold, next: Waiter): Promise<boolean> {
    try {
      const fence = await hold.key.rewrite(next.value)
      hold.handOvers += 1
      return this.#grant(hold, fence)
    } catch {
      // The lock is gone, or nobody knows: whoever waits here queues up anew.
      return false
    }
  }

  /** The holder hears of it by its signal; who waits here must not wait for it. */
  async #lost(lock: Lock): Promise<void> {
    if (this.#state.kind !== 'held' || this.#state.lock !== lock) return
    const { hold } = this.#state
    this.#state = { kind: 'passing' }
    await this.#abandon(hold, false)
    void this.#serve()
  }

  #giveUp(waiter: Waiter, reason: unknown): void {
    const index = this.#waiters.indexOf(waiter)
    if (index < 0) return
    this.#waiters.splice(index, 1)
    waiter.reject(reason)
    if (this.#waiters.length === 0 && this.#state.kind === 'acquiring') this.#state.abort.abort()
  }

  #refuseAll(error: unknown): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
  }

  async #newHold(ttlSeconds: number, signal: AbortSignal): Promise<Hold> {
    const session = await this.#host.session(ttlSeconds, signal)
    return { key: new LockKey(this.#name, session, this.#host.store), ttlSeconds, handOvers: 0 }
  }

  /** Leaves nothing behind: the key is deleted now, or ends with the lease. */
  async #abandon(hold: Hold | undefined, hasKey: boolean): Promise<void> {
    if (hold === undefined) return
    try {
      if (hasKey && hold.key.session.isAlive()) await hold.key.leave()
    } catch {
      // It could not be deleted while the lease lasted, which has ended or will end it.
    } finally {
      hold.key.session.release()
    }
  }
}

function boundOf({ timeoutMs, signal }: LockRequest): AbortSignal {
  const timeout = AbortSignal.timeout(Math.min(timeoutMs, longestTimerMs))
  return signal === undefined ? timeout : AbortSignal.any([timeout, signal])
}
