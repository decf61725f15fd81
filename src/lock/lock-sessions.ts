import { setMaxListeners } from 'node:events'
import type { Lease } from '../lease/lease.js'
import { closedError } from '../transport/connection-manager.js'
import type { LockSession } from './lock-key.js'

/** Grants a lease that is kept alive. */
export type GrantLease = (ttlSeconds: number, options: { readonly signal?: AbortSignal }) => Promise<Lease>

/** A lease that locks share. */
interface Shared {
  readonly lease: Promise<Lease>
  users: number
  /** Revokes it when nobody has used it for a while. */
  idle: NodeJS.Timeout | undefined
  isOver: boolean
}

/** An unused lease is kept so long, since locks come in groups. */
const idleMs = 2000
/** The server ends a lease with all its keys at once: very many make that slow. */
const mostUsers = 1000

/** The leases of locks: one for each TTL, shared by up to 1000 locks, ended when none uses it. */
export class LockSessions {
  readonly #grant: GrantLease
  readonly #shared = new Map<number, Shared>()
  readonly #all = new Set<Shared>()
  #isClosed = false

  constructor(grant: GrantLease) {
    this.#grant = grant
  }

  /** A lease that is kept alive until `done`. */
  async use(
    ttlSeconds: number,
    signal: AbortSignal,
  ): Promise<{ readonly session: LockSession; done(): Promise<void> }> {
    for (;;) {
      signal.throwIfAborted()
      const shared = this.#find(ttlSeconds)
      shared.users += 1
      clearTimeout(shared.idle)
      try {
        const session = await abortable(shared.lease, signal)
        if (session.isAlive()) return { session, done: async () => this.#leave(shared) }
        this.#end(ttlSeconds, shared)
      } catch (error) {
        this.#leave(shared)
        throw error
      }
    }
  }

  /** Revokes all leases, and with them gives every lock to the next. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#all].map((shared) => this.#revoke(shared)))
  }

  #find(ttlSeconds: number): Shared {
    const known = this.#shared.get(ttlSeconds)
    if (known !== undefined && !known.isOver && known.users < mostUsers) return known
    const lease = this.#isClosed ? Promise.reject(closedError()) : this.#grant(ttlSeconds, {})
    const shared: Shared = { lease, users: 0, idle: undefined, isOver: false }
    this.#shared.set(ttlSeconds, shared)
    this.#all.add(shared)
    lease.then(
      ({ signal }) => {
        // As many locks as there are may listen, which is no leak.
        setMaxListeners(0, signal)
        signal.addEventListener('abort', () => this.#end(ttlSeconds, shared), { once: true })
      },
      () => this.#end(ttlSeconds, shared),
    )
    return shared
  }

  #leave(shared: Shared): void {
    shared.users -= 1
    if (shared.users > 0 || shared.isOver) return
    shared.idle = setTimeout(() => void this.#revoke(shared), idleMs)
  }

  #end(ttlSeconds: number, shared: Shared): void {
    clearTimeout(shared.idle)
    shared.isOver = true
    this.#all.delete(shared)
    if (this.#shared.get(ttlSeconds) === shared) this.#shared.delete(ttlSeconds)
  }

  async #revoke(shared: Shared): Promise<void> {
    clearTimeout(shared.idle)
    try {
      // Its signal tells `#end`.
      await (await shared.lease).revoke({ timeoutMs: idleMs })
    } catch {
      // The server ends it when its time is over.
    }
  }
}

function abortable<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
