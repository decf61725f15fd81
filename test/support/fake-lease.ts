import { EtcdError } from '../../src/core/errors.js'
import type { Lease } from '../../src/lease/lease.js'
import { LeaseLostError, type LeaseLostReason } from '../../src/lease/lease-lost-error.js'

/** A lease whose end the test decides, and the revocations that it is asked for. */
export class FakeLease {
  readonly id: string
  readonly ttlSeconds: number
  readonly #abort = new AbortController()
  /** Whether the lease can be relied on; in a process that did not run, this is false before the signal aborts. */
  isUsable = true
  revocations = 0

  constructor(id: string, ttlSeconds: number) {
    this.id = id
    this.ttlSeconds = ttlSeconds
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  isAlive(): boolean {
    return this.isUsable && !this.signal.aborted
  }

  lose(reason: LeaseLostReason): void {
    this.#abort.abort(new LeaseLostError(this.id, reason))
  }

  async revoke(): Promise<void> {
    this.revocations += 1
    this.lose('revoked')
  }

  /** As what the library takes it for. */
  get lease(): Lease {
    return this as unknown as Lease
  }
}

/** The error of a call with a lease that does not exist. */
export function leaseNotFound(): EtcdError {
  return new EtcdError('requested lease not found', { code: 'LEASE_NOT_FOUND', effect: 'none' })
}
