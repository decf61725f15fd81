import { LRUCache } from 'lru-cache'
import { type Obstacle, waitWithin } from '../core/wait-within.js'
import type { CallOptions } from '../transport/transport.js'
import { leaseTooLate } from './lease-too-late.js'
import type { Granted } from './leases.js'

/** Grants a lease that nobody renews. */
export type GrantOnly = (ttlSeconds: number) => Promise<Granted>

interface Pooled {
  current: { readonly granted: Granted; keys: number } | undefined
  granting: Promise<void> | undefined
}

/** Different times to live that leases are kept for. Of those forgotten, the next key makes a new lease. */
const maxTtls = 100
/** All keys of a lease are deleted at one revision when it ends: this bounds the work of that. */
const maxKeys = 1000
const slack = { share: 0.1, leastSeconds: 1, mostSeconds: 60 }

/**
 * Leases for keys that are written once and are to end by themselves. Keys of the same time to live share a lease that
 * lives a little longer than that, by a tenth but at least a second and at most a minute: as long as what it has left is not
 * less than a key needs, and it has fewer than 1,000 keys. Nobody renews these leases.
 */
export class LeasePool {
  readonly #grant: GrantOnly
  readonly #tooLate: () => Error
  readonly #pooled = new LRUCache<number, Pooled>({ max: maxTtls })

  constructor(grant: GrantOnly, obstacle?: Obstacle) {
    this.#grant = grant
    this.#tooLate = leaseTooLate(obstacle)
  }

  /** The ID of a lease for one more key that lives for `ttlSeconds` at least. */
  async take(ttlSeconds: number, options: CallOptions): Promise<string> {
    for (;;) {
      const pooled = this.#of(ttlSeconds)
      const { current } = pooled
      if (current !== undefined && current.keys < maxKeys && hasLeft(current.granted, ttlSeconds)) {
        current.keys += 1
        return current.granted.id
      }
      pooled.granting ??= this.#replace(pooled, ttlSeconds)
      await waitWithin(pooled.granting, options, this.#tooLate)
    }
  }

  /** The cluster does not know the lease any more: somebody revoked it, or data was restored. */
  gone(ttlSeconds: number, id: string): void {
    const pooled = this.#of(ttlSeconds)
    if (pooled.current?.granted.id === id) pooled.current = undefined
  }

  #of(ttlSeconds: number): Pooled {
    const known = this.#pooled.get(ttlSeconds)
    if (known !== undefined) return known
    const pooled: Pooled = { current: undefined, granting: undefined }
    this.#pooled.set(ttlSeconds, pooled)
    return pooled
  }

  async #replace(pooled: Pooled, ttlSeconds: number): Promise<void> {
    try {
      pooled.current = { granted: await this.#grant(ttlSeconds + slackSeconds(ttlSeconds)), keys: 0 }
    } finally {
      pooled.granting = undefined
    }
  }
}

function slackSeconds(ttlSeconds: number): number {
  return Math.max(slack.leastSeconds, Math.min(slack.mostSeconds, Math.ceil(ttlSeconds * slack.share)))
}

function hasLeft({ expiresAt }: Granted, ttlSeconds: number): boolean {
  return expiresAt - performance.now() >= ttlSeconds * 1000
}
