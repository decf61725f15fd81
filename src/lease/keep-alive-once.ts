import { type ErrorCode, EtcdError, isEtcdError } from '../core/errors.js'
import { isError } from '../core/thrown.js'
import type { Obstacle } from '../core/wait.js'
import type { Waiter } from '../core/waiter.js'
import { closedError } from '../transport/connection/connection-manager.js'
import type { KeepAliveTarget } from './keep-alive-target.js'
import type { LeaseLostReason } from './lease-lost-error.js'

/** An answered renewal. */
export interface KeepAliveResult {
  readonly ttlSeconds: number
  readonly sentAt: number
}

/** A renewal that a caller waits for. */
export interface KeepAliveOnceInit {
  readonly id: string
  /** The TTL of the lease, if known. */
  readonly ttlSeconds?: number | undefined
  readonly deadlineAt: number
  readonly obstacle?: Obstacle
  readonly waiter: Pick<Waiter<KeepAliveResult>, 'resolve' | 'reject'>
}

/** Errors with which the next stream would end as well. */
const terminal: ReadonlySet<ErrorCode> = new Set(['AUTH_FAILED', 'CLOSED', 'NOT_CONNECTED', 'UNIMPLEMENTED'])
const method = 'Lease.LeaseKeepAlive'

/** One renewal that a caller waits for. It is sent on the stream that keeps leases alive. */
export class KeepAliveOnce implements KeepAliveTarget {
  readonly id: string
  readonly isKeptAlive = true
  /** Not the caller's time limit, which says nothing about how soon the member has to answer. */
  readonly ttlMs: number
  readonly expiresAt: number
  renewAt = 0
  readonly #init: KeepAliveOnceInit

  constructor(init: KeepAliveOnceInit) {
    this.#init = init
    this.id = init.id
    this.ttlMs = init.ttlSeconds === undefined ? Number.POSITIVE_INFINITY : init.ttlSeconds * 1000
    this.expiresAt = init.deadlineAt
  }

  answered(ttlSeconds: number, sentAt: number): void {
    this.renewAt = Number.POSITIVE_INFINITY
    this.#init.waiter.resolve({ ttlSeconds, sentAt })
  }

  interrupted(error: unknown): void {
    if (isEtcdError(error) && terminal.has(error.code)) this.#init.waiter.reject(error)
  }

  end(reason: LeaseLostReason, cause: unknown): void {
    this.#init.waiter.reject(this.#error(reason, cause))
  }

  #error(reason: LeaseLostReason, cause: unknown): unknown {
    if (reason === 'closed') return closedError('unknown')
    if (reason === 'refused' && cause !== undefined) return cause
    if (reason === 'revoked') {
      return new EtcdError(`lease ${this.id} does not exist`, { code: 'LEASE_NOT_FOUND', effect: 'none', method })
    }
    const hindrance = this.#init.obstacle?.() ?? cause
    const why = isError(hindrance) ? `: ${hindrance.message}` : ''
    return new EtcdError(`the deadline passed before the lease was renewed${why}`, {
      code: 'DEADLINE_EXCEEDED',
      effect: 'unknown',
      retryable: true,
      method,
      cause: hindrance,
    })
  }
}
