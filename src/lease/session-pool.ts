import { setMaxListeners } from 'node:events'
import { onAbort } from '../core/abort.js'
import type { Obstacle } from '../core/wait.js'
import { closedError } from '../transport/connection/connection-manager.js'
import type { CallOptions } from '../transport/transport.js'
import type { Lease } from './lease.js'
import { LeaseLostError } from './lease-lost-error.js'
import { closingMs, grantTimeout, grantWaiter, settledSoon } from './lease-timeouts.js'
import { Session } from './session.js'

/** Grants a lease and keeps it alive. */
export type GrantKeptAlive = (ttlSeconds: number) => Promise<Lease>

interface SharedLease {
  readonly lease: Lease
  /** The requested TTL. */
  readonly ttlSeconds: number
  /** How many sessions are not released. */
  users: number
  idle: NodeJS.Timeout | undefined
}

/** How many keys one lease should delete at most when it ends. */
const maxSessions = 1000
/** How long an unused lease is kept for the next session: a third of its TTL, within these limits. */
const idleMs = { min: 1000, max: 10_000 }

/** Leases that are kept alive as long as sessions use them, one for each TTL. */
export class SessionPool {
  readonly #grant: GrantKeptAlive
  readonly #timedOut: () => Error
  readonly #current = new Map<number, SharedLease>()
  readonly #granting = new Map<number, Promise<void>>()
  readonly #all = new Set<SharedLease>()
  #isClosed = false

  constructor(grant: GrantKeptAlive, obstacle?: Obstacle) {
    this.#grant = grant
    this.#timedOut = grantTimeout(obstacle)
  }

  async acquire(ttlSeconds: number, options: CallOptions): Promise<Session> {
    const wait = grantWaiter(options, this.#timedOut)
    for (;;) {
      if (this.#isClosed) throw closedError()
      const shared = this.#current.get(ttlSeconds)
      if (shared?.lease.isAlive() && shared.users < maxSessions) return this.#join(shared)
      const granting = this.#granting.get(ttlSeconds) ?? this.#replace(ttlSeconds)
      this.#granting.set(ttlSeconds, granting)
      await wait(granting)
    }
  }

  /** Revokes all leases, also those that are being granted, so that their keys are deleted at once; `undefined` if there are none. */
  close(): Promise<unknown> | undefined {
    this.#isClosed = true
    const granted = [...this.#all].map((shared) => this.#drop(shared))
    const ends = [...granted, ...[...this.#granting.values()].map((granting) => settledSoon(granting))]
    return ends.length === 0 ? undefined : Promise.all(ends)
  }

  #join(shared: SharedLease): Session {
    clearTimeout(shared.idle)
    shared.users += 1
    return new Session(shared.lease, {
      release: () => {
        shared.users -= 1
        if (shared.users === 0) this.#idle(shared)
      },
      retire: () => this.#retire(shared),
    })
  }

  #retire(shared: SharedLease): void {
    if (this.#current.get(shared.ttlSeconds) === shared) this.#current.delete(shared.ttlSeconds)
    if (shared.users === 0 && this.#all.has(shared)) void this.#drop(shared)
  }

  #idle(shared: SharedLease): void {
    if (this.#current.get(shared.ttlSeconds) !== shared) {
      if (this.#all.has(shared)) void this.#drop(shared)
      return
    }
    const waitMs = Math.min(idleMs.max, Math.max(idleMs.min, (shared.lease.ttlSeconds * 1000) / 3))
    shared.idle = setTimeout(() => void this.#drop(shared), waitMs)
    shared.idle.unref()
  }

  /** A lease that cannot be revoked expires. */
  async #drop(shared: SharedLease): Promise<void> {
    this.#forget(shared)
    await shared.lease.revoke({ timeoutMs: closingMs }).catch(() => {})
  }

  /** A lease that has expired by this client's clock may exist on the server for a while: a revocation deletes its keys sooner. */
  #onEnd(shared: SharedLease): void {
    this.#forget(shared)
    const { reason } = shared.lease.signal
    if (reason instanceof LeaseLostError && (reason.reason === 'expired' || reason.reason === 'stalled')) {
      void this.#drop(shared)
    }
  }

  #forget(shared: SharedLease): void {
    clearTimeout(shared.idle)
    this.#all.delete(shared)
    if (this.#current.get(shared.ttlSeconds) === shared) this.#current.delete(shared.ttlSeconds)
  }

  async #replace(ttlSeconds: number): Promise<void> {
    try {
      const shared: SharedLease = { lease: await this.#grant(ttlSeconds), ttlSeconds, users: 0, idle: undefined }
      if (this.#isClosed) {
        await this.#drop(shared)
        return
      }
      this.#current.set(ttlSeconds, shared)
      this.#all.add(shared)
      // Any number of sessions may listen: no leak.
      setMaxListeners(0, shared.lease.signal)
      onAbort(shared.lease.signal, () => this.#onEnd(shared))
      // The callers may have given up meanwhile.
      this.#idle(shared)
    } finally {
      this.#granting.delete(ttlSeconds)
    }
  }
}
