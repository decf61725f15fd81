/**
 * A rate limit shared by all processes. Each process reserves permits in batches, so etcd receives one write for many
 * requests: `npx tsx examples/rate-limiter.ts`.
 */
import { Etcd } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'

interface Limit {
  readonly requests: number
  readonly windowMs: number
  /** Permits reserved at once: larger batches mean fewer writes, and more unused permits when a process is idle. */
  readonly batchSize: number
}

/** A window of the local clock: hosts whose clocks differ count in neighboring windows for a moment. */
interface Window {
  readonly index: number
  readonly used: number
}

export class RateLimiter {
  readonly #etcd: Etcd
  readonly #name: string
  readonly #limit: Limit
  #window = -1
  #permits = 0
  #isExhausted = false
  #reservation: Promise<void> | undefined

  constructor(etcd: Etcd, name: string, limit: Limit) {
    this.#etcd = etcd
    this.#name = name
    this.#limit = limit
  }

  /** Whether the request may proceed. Rejects if etcd cannot be reached: the caller decides what that means. */
  async tryAcquire(): Promise<boolean> {
    for (;;) {
      const window = Math.floor(Date.now() / this.#limit.windowMs)
      if (window !== this.#window) [this.#window, this.#permits, this.#isExhausted] = [window, 0, false]
      if (this.#permits > 0) {
        this.#permits -= 1
        return true
      }
      if (this.#isExhausted) return false
      this.#reservation ??= this.#reserve(window).finally(() => (this.#reservation = undefined)) // one for all waiting requests
      await this.#reservation
    }
  }

  async #reserve(index: number): Promise<void> {
    let granted = 0
    await this.#etcd.update(`rates/${this.#name}`, (current) => {
      const last: Window = current === undefined ? { index, used: 0 } : JSON.parse(current.valueText)
      const used = last.index === index ? last.used : 0
      granted = Math.min(this.#limit.batchSize, this.#limit.requests - used)
      return granted === 0 ? undefined : JSON.stringify({ index, used: used + granted })
    })
    if (index !== this.#window) return // the window ended meanwhile
    this.#permits = granted
    this.#isExhausted = granted === 0
  }
}

await using cluster = await EtcdCluster.start()
const limit = { requests: 100, windowMs: 3_600_000, batchSize: 20 }
const clients = [1, 2, 3].map(() => new Etcd({ endpoints: cluster.endpoints })) // in production, one in each process
const limiters = clients.map((etcd) => new RateLimiter(etcd, 'api', limit))
const requests = Array.from({ length: 300 }, (_, index) => limiters[index % limiters.length]?.tryAcquire())
const allowed = (await Promise.all(requests)).filter((isAllowed) => isAllowed).length
const writes = (await clients[0]?.get('rates/api'))?.version
console.log(`${allowed} of ${requests.length} requests allowed, with ${writes} writes`)
for (const etcd of clients) await etcd.close()
