import { setMaxListeners } from 'node:events'
import type { CallOptions } from '../transport/transport.js'
import type { Lease } from './lease.js'
import { Session } from './session.js'
import { waitWithin } from './wait-within.js'

/** Grants a lease that is kept alive. */
export type GrantKeptAlive = (ttlSeconds: number) => Promise<Lease>

interface Shared {
  readonly lease: Lease
  /** Sessions that are not released. */
  users: number
  idle: NodeJS.Timeout | undefined
}

/** As many keys as one lease should delete at its end. */
const maxSessions = 1000
/** Least and longest time that a lease is kept for the next one who asks; a third of its time to live between them. */
const idleMs = { least: 1000, most: 10_000 }
/** Bound of a revocation that nobody waits for. */
const closingMs = 1000

/** Leases that are kept alive for as long as somebody uses them, one for each time to live. */
export class SessionPool {
  readonly #grant: GrantKeptAlive
  readonly #current = new Map<number, Shared>()
  readonly #granting = new Map<number, Promise<void>>()
  readonly #all = new Set<Shared>()

  constructor(grant: GrantKeptAlive) {
    this.#grant = grant
  }

  async acquire(ttlSeconds: number, options: CallOptions): Promise<Session> {
    for (;;) {
      const shared = this.#current.get(ttlSeconds)
      if (shared?.lease.isAlive() && shared.users < maxSessions) return this.#join(shared)
      const granting = this.#granting.get(ttlSeconds) ?? this.#replace(ttlSeconds)
      this.#granting.set(ttlSeconds, granting)
      await waitWithin(granting, options)
    }
  }

  /** Revokes all leases, so that what they stand for is free at once; `undefined` if there are none. */
  close(): Promise<unknown> | undefined {
    return this.#all.size === 0 ? undefined : Promise.all([...this.#all].map((shared) => this.#drop(shared)))
  }

  #join(shared: Shared): Session {
    clearTimeout(shared.idle)
    shared.users += 1
    return new Session(shared.lease, () => {
      shared.users -= 1
      if (shared.users === 0) this.#idle(shared)
    })
  }

  #idle(shared: Shared): void {
    const waitMs = Math.min(idleMs.most, Math.max(idleMs.least, (shared.lease.ttlSeconds * 1000) / 3))
    shared.idle = setTimeout(() => void this.#drop(shared), waitMs)
    shared.idle.unref()
  }

  /** What cannot be revoked ends by itself. */
  async #drop(shared: Shared): Promise<void> {
    this.#forget(shared)
    await shared.lease.revoke({ timeoutMs: closingMs }).catch(() => {})
  }

  #forget(shared: Shared): void {
    clearTimeout(shared.idle)
    this.#all.delete(shared)
    for (const [ttlSeconds, current] of this.#current) if (current === shared) this.#current.delete(ttlSeconds)
  }

  async #replace(ttlSeconds: number): Promise<void> {
    try {
      const shared: Shared = { lease: await this.#grant(ttlSeconds), users: 0, idle: undefined }
      this.#current.set(ttlSeconds, shared)
      this.#all.add(shared)
      // As many holders as there are may listen, which is no leak.
      setMaxListeners(0, shared.lease.signal)
      shared.lease.signal.addEventListener('abort', () => this.#forget(shared), { once: true })
      // Those who asked for it may have left meanwhile.
      this.#idle(shared)
    } finally {
      this.#granting.delete(ttlSeconds)
    }
  }
}
