import { LRUCache } from '../core/lru.js'
import type { Obstacle } from '../core/wait.js'
import type { CallOptions } from '../transport/transport.js'
import type { GrantedLease } from './granted-lease.js'
import { grantTimeout, grantWaiter } from './lease-timeouts.js'
import { PooledLease, type RenewOnce } from './pooled-lease.js'

/** Grants a lease that is not kept alive. */
export type GrantOnly = (ttlSeconds: number) => Promise<GrantedLease>

interface TtlPool {
  current: PooledLease | undefined
  granting: Promise<PooledLease> | undefined
}

/** How many TTLs have a pooled lease. The next key with a TTL that was evicted gets a new lease. */
const maxTtls = 100
/** The end of a lease deletes all its keys at one revision: this bounds that work. */
const maxKeys = 1000
const slack = { share: 0.1, minSeconds: 1, maxSeconds: 60 }
/** The usual duration of a put. The lease of a put that takes longer is renewed before the put resolves. */
const putMs = 50

/**
 * Leases for keys with `ttlSeconds`. Keys with the same TTL share a lease with a TTL that is longer by a tenth, at least 1 s
 * and at most 60 s, as long as its remaining time is enough for another key and it has fewer than 1,000 keys. A pooled
 * lease is renewed only for a put that takes long.
 */
export class LeasePool {
  readonly #grant: GrantOnly
  readonly #renewOnce: RenewOnce
  readonly #timedOut: () => Error
  readonly #pooled = new LRUCache<number, TtlPool>({ max: maxTtls })

  constructor(grant: GrantOnly, renewOnce: RenewOnce, obstacle?: Obstacle) {
    this.#grant = grant
    this.#renewOnce = renewOnce
    this.#timedOut = grantTimeout(obstacle)
  }

  /** Returns a lease for a key that must live for `ttlSeconds`; the put of that key is registered with it. */
  async take(ttlSeconds: number, options: CallOptions): Promise<PooledLease> {
    const wait = grantWaiter(options, this.#timedOut)
    for (;;) {
      const pooled = this.#of(ttlSeconds)
      const { current } = pooled
      if (current?.lasts(putMs) && current.keys < maxKeys) return entered(current)
      pooled.granting ??= this.#replace(pooled, ttlSeconds)
      const granted = await wait(pooled.granting)
      // If the answer was late, the lease is renewed before the put resolves.
      if (granted?.exists() && granted.keys < maxKeys) return entered(granted)
    }
  }

  #of(ttlSeconds: number): TtlPool {
    const known = this.#pooled.get(ttlSeconds)
    if (known !== undefined) return known
    const pooled: TtlPool = { current: undefined, granting: undefined }
    this.#pooled.set(ttlSeconds, pooled)
    return pooled
  }

  async #replace(pooled: TtlPool, ttlSeconds: number): Promise<PooledLease> {
    try {
      const granted = await this.#grant(ttlSeconds + slackSeconds(ttlSeconds))
      pooled.current = new PooledLease(granted, ttlSeconds, this.#renewOnce)
      return pooled.current
    } finally {
      pooled.granting = undefined
    }
  }
}

function slackSeconds(ttlSeconds: number): number {
  return Math.max(slack.minSeconds, Math.min(slack.maxSeconds, Math.ceil(ttlSeconds * slack.share)))
}

function entered(lease: PooledLease): PooledLease {
  lease.enter()
  return lease
}
