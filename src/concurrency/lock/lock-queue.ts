import { longestTimerMs } from '../../core/abort.js'
import { halfJitterMs } from '../../core/backoff.js'
import { isEtcdError, isPassing } from '../../core/errors.js'
import { sleep } from '../../core/wait.js'
import { range } from '../../kv/operation.js'
import { ForeignKeyError } from './foreign-key-error.js'
import { Hold } from './hold.js'
import { Lock } from './lock.js'
import { type LockHolder, LockTimeoutError, LockUnavailableError } from './lock-errors.js'
import { LockKey, type LockSession, type LockStore } from './lock-key.js'
import type { LockObserver } from './lock-observer.js'
import { holderOf, oldestOf } from './lock-place.js'
import { type LockRequest, maySucceed } from './lock-request.js'
import { type ReleaseHost, releaseWithin, rewriteWithin, withdrawWithin } from './release.js'
import { sweepLater } from './sweep.js'

/** What the queues of a client work with. */
export interface LockQueueHost extends ReleaseHost {
  /** Who follows the locks of a client. */
  readonly observer?: LockObserver
  /** All keys, of whatever namespace. */
  readonly store: LockStore
  /** A part in a lease that is kept alive. */
  session(ttlSeconds: number, signal: AbortSignal): Promise<LockSession>
}

interface Waiter extends LockRequest {
  /** Takes the lock only if it is free. */
  readonly isTry: boolean
  readonly resolve: (lock: Lock) => void
  readonly reject: (reason: unknown) => void
}

/** Waiting for our turn among the processes, for the first of the waiters here. */
interface Acquiring {
  readonly kind: 'acquiring'
  readonly first: Waiter
  readonly abort: AbortController
  /** Resolves when nothing of it is left. */
  readonly abandoned: Promise<void>
  key?: LockKey
}

type QueueState =
  | { readonly kind: 'idle' }
  | Acquiring
  | { readonly kind: 'held'; readonly hold: Hold; readonly lock: Lock }
  /** Between two holders, or on the way out. */
  | { readonly kind: 'passing' }

/** After so many holders in one process, the others get their turn. */
const mostHandOvers = 16
const backoff = { baseMs: 50, maxMs: 1000 }

/**
 * Those of one process that want one lock, in order. They have one key in etcd among them, so that the cluster sees one
 * waiter for each process; the lock goes from one to the next by a single write.
 */
export class LockQueue {
  readonly #prefix: Buffer
  readonly #host: LockQueueHost
  readonly #onIdle: () => void
  readonly #waiters: Waiter[] = []
  #state: QueueState = { kind: 'idle' }
  #failures = 0
  #lastError: unknown

  /** `prefix` is what the keys of the lock begin with, up to and with the slash; `onIdle` is told when nobody wants it. */
  constructor(prefix: Buffer, host: LockQueueHost, onIdle: () => void) {
    this.#prefix = prefix
    this.#host = host
    this.#onIdle = onIdle
  }

  /** Waits for the lock. */
  acquire(request: LockRequest): Promise<Lock> {
    return this.#observed(request, () => this.#join(request, false))
  }

  /** Takes the lock if nobody has it, here or elsewhere. */
  tryAcquire(request: LockRequest): Promise<Lock> {
    return this.#observed(request, () => this.#try(request))
  }

  #observed({ kind }: LockRequest, wait: () => Promise<Lock>): Promise<Lock> {
    const { observer } = this.#host
    return observer === undefined ? wait() : observer.lockAsked({ name: this.#prefix.subarray(0, -1), kind }, wait)
  }

  async #try(request: LockRequest): Promise<Lock> {
    if (this.#state.kind === 'held') throw new LockUnavailableError(request.name, holding(this.#state, request))
    if (this.#waiters.length > 0) throw await this.#awaitedHere(request)
    return this.#join(request, true)
  }

  /** The error for a lock that this client waits for, with its holder if that can be read. */
  async #awaitedHere({ name, signal, timeoutMs }: LockRequest): Promise<LockUnavailableError> {
    const reading = this.#host.store.txn().then(range({ prefix: this.#prefix }))
    try {
      const { responses } = await reading.commit({ signal, timeoutMs })
      const oldest = oldestOf(this.#prefix, responses[0]?.kvs ?? [])
      return new LockUnavailableError(name, oldest && holderOf(oldest, this.#namespaceBytes(name)))
    } catch (error) {
      signal?.throwIfAborted()
      return new LockUnavailableError(name, undefined, error)
    }
  }

  #join(request: LockRequest, isTry: boolean): Promise<Lock> {
    return new Promise((resolve, reject) => {
      this.#waiters.push(this.#waiter(request, isTry, resolve, reject))
      if (this.#state.kind === 'idle') void this.#serve()
    })
  }

  #waiter(request: LockRequest, isTry: boolean, resolve: Waiter['resolve'], reject: Waiter['reject']): Waiter {
    const { signal, timeoutMs } = request
    const settle =
      <Value>(settled: (value: Value) => void) =>
      (value: Value): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        settled(value)
      }
    const waiter: Waiter = { ...request, isTry, resolve: settle(resolve), reject: settle(reject) }
    const onAbort = (): void => this.#giveUp(waiter, signal?.reason)
    const onTimeout = (): void => this.#giveUp(waiter, this.#tooLate(waiter))
    const timer = timeoutMs > longestTimerMs ? undefined : setTimeout(onTimeout, timeoutMs)
    signal?.addEventListener('abort', onAbort, { once: true })
    return waiter
  }

  #tooLate({ name, timeoutMs }: Waiter): LockTimeoutError {
    const isHere = this.#state.kind === 'held' && this.#state.lock.isHeld()
    const why = isHere ? 'this client holds it, and locks are not re-entrant' : undefined
    return new LockTimeoutError(name, timeoutMs, why, this.#host.obstacle() ?? this.#trouble)
  }

  /** What failed last, if nothing has gone well since. */
  get #trouble(): unknown {
    const state = this.#state
    return (state.kind === 'acquiring' ? state.key?.trouble : undefined) ?? this.#lastError
  }

  #giveUp(waiter: Waiter, reason: unknown): void {
    const index = this.#waiters.indexOf(waiter)
    if (index < 0) return
    this.#waiters.splice(index, 1)
    const state = this.#state
    const [next] = this.#waiters
    if (state.kind !== 'acquiring' || (next !== undefined && maySucceed(next, state.first))) {
      waiter.reject(reason)
      return
    }
    state.abort.abort()
    // The caller finds nothing left of the wait.
    void withdrawWithin(state.abandoned, this.#host).then(() => waiter.reject(reason))
  }

  /** Gets the lock for the first waiter, as often as that takes. */
  async #serve(): Promise<void> {
    for (let first = this.#waiters[0]; first !== undefined; first = this.#waiters[0]) {
      if (await this.#obtain(first)) return
    }
    this.#state = { kind: 'idle' }
    this.#onIdle()
  }

  /** Makes a key for `first`, and gives the lock to who is first when it is ours. */
  async #obtain(first: Waiter): Promise<boolean> {
    const abort = new AbortController()
    const onLost = (): void => abort.abort(hold?.key.session.signal.reason)
    let onAbandoned = (): void => {}
    const abandoned = new Promise<void>((resolve) => {
      onAbandoned = resolve
    })
    const state: QueueState = { kind: 'acquiring', first, abort, abandoned }
    this.#state = state
    let hold: Hold | undefined
    let waitMs = 0
    try {
      hold = await this.#newHold(first, abort.signal)
      state.key = hold.key
      this.#lastError = undefined
      hold.key.session.signal.addEventListener('abort', onLost, { once: true })
      const fence = await this.#take(first, hold.key, abort.signal)
      this.#failures = 0
      if (fence !== undefined && (await this.#grant(hold, fence))) return true
    } catch (error) {
      waitMs = this.#failed(first, error, hold?.key.session, abort.signal)
    } finally {
      hold?.key.session.signal.removeEventListener('abort', onLost)
    }
    await this.#abandon(hold)
    onAbandoned()
    if (waitMs > 0) await sleep(waitMs, abort.signal).catch(() => {})
    return false
  }

  /** Resolves with the fence; with `undefined` for one that is told that the lock is not free. */
  async #take(first: Waiter, key: LockKey, signal: AbortSignal): Promise<number | undefined> {
    if (!first.isTry) return key.acquire(first.value, signal)
    const taken = await key.tryAcquire(first.value, signal)
    if (typeof taken === 'number') return taken
    this.#giveUp(first, new LockUnavailableError(first.name, holderOf(taken, this.#namespaceBytes(first.name))))
    return undefined
  }

  #namespaceBytes(name: string): number {
    return this.#prefix.length - Buffer.byteLength(name) - 1
  }

  /** Ends the waits, unless it is of use to queue up anew: after so many milliseconds. */
  #failed(first: Waiter, error: unknown, session: LockSession | undefined, { aborted }: AbortSignal): number {
    // A lease that ended while we waited takes our place with it.
    if (session?.isAlive() === false) return 0
    if (isEtcdError(error, 'LEASE_NOT_FOUND')) {
      session?.revoke().catch(() => {})
      return 0
    }
    // The same lease would find the same key again.
    if (error instanceof ForeignKeyError) {
      session?.retire()
      return 0
    }
    if (aborted) return 0
    // What is refused may be this waiter's alone, as a value that is too large: the others ask for themselves.
    if (first.isTry || !isPassing(error)) {
      this.#giveUp(first, error)
      return 0
    }
    this.#lastError = error
    this.#failures += 1
    return halfJitterMs(this.#failures, backoff)
  }

  /** Gives the lock to the first waiter, if the key can be his. */
  async #grant(hold: Hold, fence: number): Promise<boolean> {
    const { key } = hold
    for (let granted: number | undefined = fence; granted !== undefined; ) {
      const [waiter] = this.#waiters
      if (waiter === undefined || !maySucceed(waiter, hold.request) || !key.session.isAlive()) return false
      if (waiter.value === key.value) {
        this.#waiters.shift()
        waiter.resolve(this.#hold(hold, waiter, granted))
        return true
      }
      // The key still tells what another one wanted to be seen, who has left.
      granted = await key.rewrite(waiter.value)
    }
    return false
  }

  #hold(hold: Hold, { name, kind, ownKey }: LockRequest, fence: number): Lock {
    const onRelease = (written: Promise<unknown>): Promise<void> => {
      const releasing = written.then(() => this.#release(lock))
      return releaseWithin(releasing, { kind, keyText: lock.keyText }, this.#host)
    }
    const onRewrite = (written: Promise<void>): Promise<void> => rewriteWithin(written, lock.keyText, this.#host)
    const lock = new Lock({ name, fence, ownKey, key: hold.key, gone: hold.gone, onRelease, onRewrite })
    hold.begin()
    this.#state = { kind: 'held', hold, lock }
    lock.signal.addEventListener('abort', () => void this.#lost(lock), { once: true })
    return lock
  }

  async #release(lock: Lock): Promise<void> {
    this.#host.observer?.lockReleased(lock)
    if (this.#state.kind !== 'held' || this.#state.lock !== lock) return
    const { hold } = this.#state
    this.#state = { kind: 'passing' }
    if (await this.#handOver(hold)) return
    await this.#abandon(hold)
    void this.#serve()
  }

  /** A write lets the next one in this process have the lock. */
  async #handOver(hold: Hold): Promise<boolean> {
    const [next] = this.#waiters
    if (next === undefined || next.ownKey || !maySucceed(next, hold.request)) return false
    if (hold.handOvers >= mostHandOvers) return false
    try {
      const fence = await hold.key.rewrite(next.value)
      hold.handOvers += 1
      return fence !== undefined && (await this.#grant(hold, fence))
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
    await this.#abandon(hold)
    void this.#serve()
  }

  async #newHold(request: Waiter, signal: AbortSignal): Promise<Hold> {
    const session = await this.#host.session(request.ttlSeconds, signal)
    return new Hold(new LockKey(this.#prefix, session, this.#host.store), request)
  }

  /** Leaves nothing behind: the key is deleted now, or ends with the lease. */
  async #abandon(hold: Hold | undefined): Promise<void> {
    if (hold === undefined) return
    hold.close()
    const { key } = hold
    const { session } = key
    let isGone = !key.mayReappear
    try {
      if (session.isAlive()) await key.leave()
    } catch {
      isGone = false
    }
    if (!isGone && session.isAlive()) {
      session.retire()
      sweepLater(key)
    }
    session.release()
  }
}

/** Who holds a lock in this process, as one sees it who knows the lock by this name: it may be in another namespace. */
function holding({ hold }: Extract<QueueState, { kind: 'held' }>, { name }: LockRequest): LockHolder {
  const { value, createRevision, session } = hold.key
  return { keyText: `${name}/${session.id}`, valueText: value, lease: session.id, createRevision }
}
