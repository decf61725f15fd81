import { onAbort } from '../core/abort.js'
import { range } from '../kv/operation.js'
import { hiddenBytes, keyTextOf, observed, type Progress, takeTurn, timeoutError, waitForLock } from './acquire.js'
import type { ConcurrencyHost } from './concurrency-host.js'
import { HeldLock } from './held-lock.js'
import { holderOf, leaseQueue } from './lease-entries.js'
import { type LockTimeoutError, LockUnavailableError } from './lock-errors.js'
import { LockHandle } from './lock-handle.js'
import type { LockRequest } from './lock-options.js'
import { oldestOf, type QueueSpec } from './queue-entry.js'

/** A caller that waits in this process. */
interface LocalCaller extends LockRequest {
  readonly resolve: (lock: LockHandle) => void
  readonly reject: (reason: unknown) => void
}

type LocalQueueState =
  | { readonly kind: 'idle' }
  /** In the queue of all processes, with a key that was created for `first`. */
  | {
      readonly kind: 'acquiring'
      readonly first: LocalCaller
      readonly abort: AbortController
      readonly progress: Progress
      /** Resolves when the lock is granted, or no key of the attempt is left. */
      readonly ended: Promise<unknown>
    }
  | { readonly kind: 'held'; readonly held: HeldLock; readonly caller: LocalCaller }
  /** Being handed over or given up. */
  | { readonly kind: 'releasing' }

/** The number of hand-overs in one process after which other processes get their turn. */
const maxHandOvers = 16

/**
 * The callers of one process that want the same lock, first in, first out. They share one key in etcd, so the cluster sees
 * one waiter per process, and a hand-over from one to the next is a single write.
 */
export class LocalQueue {
  readonly #spec: QueueSpec
  readonly #host: ConcurrencyHost
  readonly #onIdle: () => void
  readonly #callers: LocalCaller[] = []
  #state: LocalQueueState = { kind: 'idle' }

  /** Calls `onIdle` when nobody waits for the lock or holds it any more. */
  constructor(spec: QueueSpec, host: ConcurrencyHost, onIdle: () => void) {
    this.#spec = spec
    this.#host = host
    this.#onIdle = onIdle
  }

  /** Waits for the lock, or takes it only if it is free, here and elsewhere. */
  acquire(request: LockRequest): Promise<LockHandle> {
    return observed(this.#host, this.#spec, request, async () => {
      // At once, so that of several calls only the first enters the queue.
      if (!request.waits && this.#state.kind === 'held') throw this.#heldHere(this.#state, request)
      if (!request.waits && this.#callers.length > 0) throw await this.#awaitedHere(request)
      const wait = (signal: AbortSignal): Promise<LockHandle> => this.#enqueue(request, signal)
      return waitForLock(this.#host, request, wait, () => this.#timeoutError(request))
    })
  }

  #heldHere({ held }: { readonly held: HeldLock }, request: LockRequest): LockUnavailableError {
    const { valueText, createRevision, session } = held.key
    const keyText = keyTextOf(held.key, this.#spec, request)
    return new LockUnavailableError(request.name, { keyText, valueText, lease: session.id, createRevision })
  }

  /** The error for a lock that this client waits for, with its holder if that can be read. */
  async #awaitedHere(request: LockRequest): Promise<LockUnavailableError> {
    const { name, signal, timeoutMs } = request
    const [ahead = { prefix: this.#spec.name }] = this.#spec.ahead
    try {
      const { responses } = await this.#host.store.txn().then(range(ahead)).commit({ signal, timeoutMs })
      const oldest = oldestOf((responses[0]?.kvs ?? []).filter((kv) => this.#spec.isEntry(kv)))
      return new LockUnavailableError(name, oldest && holderOf(oldest, hiddenBytes(this.#spec, request)))
    } catch (error) {
      signal?.throwIfAborted()
      return new LockUnavailableError(name, undefined, error)
    }
  }

  #enqueue(request: LockRequest, signal: AbortSignal): Promise<LockHandle> {
    return new Promise((resolve, reject) => {
      const caller = { ...request, resolve, reject }
      this.#callers.push(caller)
      onAbort(signal, (reason) => void this.#withdraw(caller, reason))
      if (this.#state.kind === 'idle') void this.#serve()
    })
  }

  #timeoutError(request: LockRequest): LockTimeoutError {
    const state = this.#state
    const isHere = state.kind === 'held' && !state.held.isLost
    const reason = isHere ? 'this client holds it, and locks are not re-entrant' : undefined
    return timeoutError(this.#host, request, state.kind === 'acquiring' ? state.progress : {}, reason)
  }

  /** Rejects a caller that no longer waits, when the key that only it could use is deleted. */
  async #withdraw(caller: LocalCaller, reason: unknown): Promise<void> {
    if (!this.#remove(caller)) return
    const state = this.#state
    const [next] = this.#callers
    if (state.kind === 'acquiring' && (next === undefined || !canUseKey(next, state.first))) {
      state.abort.abort(reason)
      await state.ended
    }
    caller.reject(reason)
  }

  #remove(caller: LocalCaller): boolean {
    const index = this.#callers.indexOf(caller)
    if (index >= 0) this.#callers.splice(index, 1)
    return index >= 0
  }

  /** Acquires the lock for the callers that wait, until one of them holds it. */
  async #serve(): Promise<void> {
    for (let [first] = this.#callers; first !== undefined; [first] = this.#callers) {
      const abort = new AbortController()
      const progress: Progress = {}
      const ended = this.#acquireFor(first, abort.signal, progress)
      this.#state = { kind: 'acquiring', first, abort, progress, ended }
      if (await ended) return
    }
    this.#state = { kind: 'idle' }
    this.#onIdle()
  }

  /** Creates a key for `first`; when its turn comes, grants the lock to the caller that is first then. */
  async #acquireFor(first: LocalCaller, signal: AbortSignal, progress: Progress): Promise<boolean> {
    try {
      const { key, fence } = await takeTurn(this.#host, this.#spec, first, signal, progress)
      const held = new HeldLock(key, first)
      if (await this.#grant(held, fence)) return true
      await held.giveUp()
    } catch (error) {
      // The failure may concern this caller alone, as a value that is too large: the others try for themselves.
      if (this.#remove(first)) first.reject(error)
    }
    return false
  }

  /** Grants the lock to the first caller, if it can use the key. */
  async #grant(held: HeldLock, turn: number | undefined): Promise<boolean> {
    for (let fence = turn; fence !== undefined && !held.isLost; ) {
      const [caller] = this.#callers
      if (caller === undefined || !canUseKey(caller, held.request)) return false
      if (caller.value === held.key.valueText) {
        this.#callers.shift()
        caller.resolve(this.#handle(held, caller, fence))
        return true
      }
      // The key has the value of another caller. A failure leaves this one to a key with its own value.
      fence = await held.key.rewrite(caller.value).catch(() => undefined)
    }
    return false
  }

  #handle(held: HeldLock, caller: LocalCaller, fence: number): LockHandle {
    this.#state = { kind: 'held', held, caller }
    const keyText = keyTextOf(held.key, this.#spec, caller)
    return new LockHandle({ request: caller, keyText, fence, held, host: this.#host, onEnd: () => this.#end(caller) })
  }

  /** Called when the lock is released or lost: the next caller must not wait for its lease to end. */
  async #end(caller: LocalCaller): Promise<void> {
    if (this.#state.kind !== 'held' || this.#state.caller !== caller) return
    const { held } = this.#state
    this.#state = { kind: 'releasing' }
    if (await this.#handOver(held)) return
    await held.giveUp()
    void this.#serve()
  }

  /** A write, with a new fence, makes the next caller the holder. */
  async #handOver(held: HeldLock): Promise<boolean> {
    const [next] = this.#callers
    if (held.isLost || held.handOvers >= maxHandOvers) return false
    if (next === undefined || !canUseKey(next, held.request)) return false
    held.handOvers += 1
    const fence = await held.key.rewrite(next.value).catch(() => undefined)
    return this.#grant(held, fence)
  }
}

/** Whether the key that was created for one caller can be used for another. */
function canUseKey(next: LockRequest, creator: LockRequest): boolean {
  return next === creator || (next.ttlSeconds === creator.ttlSeconds && next.sharesKey && creator.sharesKey)
}

/**
 * The local queues of a client, one for each lock. Locks with the same key bytes are one lock, through whichever namespace
 * they are reached: all holders of a client share a lease, and with it the key of the lock.
 */
export class LocalQueues {
  readonly #host: ConcurrencyHost
  readonly #queues = new Map<string, LocalQueue>()

  constructor(host: ConcurrencyHost) {
    this.#host = host
  }

  /** The queue of the lock with this name in the namespace with this prefix. */
  of(namespace: Buffer, name: string): LocalQueue {
    const bytes = Buffer.concat([namespace, Buffer.from(name)])
    const id = bytes.toString('latin1')
    const queue = this.#queues.get(id) ?? new LocalQueue(leaseQueue(bytes), this.#host, () => this.#queues.delete(id))
    this.#queues.set(id, queue)
    return queue
  }
}
