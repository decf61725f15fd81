import { LRUCache } from '../core/lru.js'
import type { Obstacle } from '../core/wait.js'
import type { CallOptions } from '../transport/transport.js'
import type { GrantedLease } from './granted-lease.js'
import { grantTimeout, grantWaiter } from './lease-timeouts.js'
import { PooledLease, type RenewOnce } from './pooled-lease.js'

/** Grants a lease that nobody renews. */
export type GrantOnly = (ttlSeconds: number) => Promise<GrantedLease>

interface TtlPool {
  current: PooledLease | undefined
  granting: Promise<PooledLease> | undefined
}

/** Different times to live that leases are kept for. Of those forgotten, the next key makes a new lease. */
const maxTtls = 100
/** All keys of a lease are deleted at one revision when it ends: this bounds the work of that. */
const maxKeys = 1000
const slack = { share: 0.1, minSeconds: 1, maxSeconds: 60 }
/** What a put takes as a rule: the lease of one that takes longer is renewed before it resolves. */
const putMs = 50

/**
 * Leases for keys that are written once and are to end by themselves. Keys of the same time to live share a lease that
 * lives a little longer than that, by a tenth but at least a second and at most a minute: as long as what it has left is not
 * less than a key needs, and it has fewer than 1,000 keys. They are renewed for puts that take long, not otherwise.
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

  /** A lease for one more key that lives for `ttlSeconds` at least; the put of that key has begun with it. */
  async take(ttlSeconds: number, options: CallOptions): Promise<PooledLease> {
    const wait = grantWaiter(options, this.#timedOut)
    for (;;) {
      const pooled = this.#of(ttlSeconds)
      const { current } = pooled
      if (current?.lasts(putMs) && current.keys < maxKeys) return entered(current)
      pooled.granting ??= this.#replace(pooled, ttlSeconds)
      const granted = await wait(pooled.granting)
      // What a late answer has taken of it is made up for before the put resolves.
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
