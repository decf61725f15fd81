import type { ConcurrencyHost } from '../../src/concurrency/concurrency-host.js'
import { onAbort } from '../../src/core/abort.js'
import { FakeLease } from './fake-lease.js'
import { MemoryStore } from './memory-store.js'

/** A host of locks in a store that the test controls, whose watches show nothing. The lease of a TTL of 10 s is `10`. */
export function fakeConcurrencyHost() {
  const store = new MemoryStore()
  const silent = (signal: AbortSignal) => ({
    [Symbol.asyncIterator]: () => ({ next: () => new Promise((_, reject) => onAbort(signal, reject)) }),
  })
  const watch = (_: unknown, { signal }: { signal: AbortSignal }) => ({
    ...silent(signal),
    batches: () => silent(signal),
  })
  const leases: FakeLease[] = []
  const host = {
    store: Object.assign(store, { watch }),
    namespace: Buffer.alloc(0),
    observer: { acquiring: (_: unknown, wait: () => unknown) => wait(), lockReleased: () => {} },
    timeoutMs: 10_000,
    releaseMs: 10_000,
    obstacle: () => undefined,
    releaseDelayed: () => {},
    session: async (ttlSeconds: number) => {
      const lost = leases.filter(({ signal }) => signal.aborted).length
      const lease = new FakeLease(String(ttlSeconds + lost), ttlSeconds)
      leases.push(lease)
      return Object.assign(lease, { retire: () => {}, release: () => {} })
    },
  } as unknown as ConcurrencyHost
  return { host, leases, store }
}
