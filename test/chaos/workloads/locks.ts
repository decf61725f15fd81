import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../records.js'
import type { Workplace } from '../worker.js'

interface Handle {
  readonly fence: number
  readonly signal: AbortSignal
}

const options = { timeoutMs: 5000, ttlSeconds: 4 }

/** Holders of locks, read/write locks, permits and leaderships, with the time in which each believed that it held. */
export async function locks(place: Workplace): Promise<void> {
  const { etcd } = place
  const rwLock = etcd.rwLock('rw')
  const semaphore = etcd.semaphore('permits', 2)
  const election = etcd.election('leaders', { ttlSeconds: 4 })
  await Promise.all([
    place.repeat('lock', async () => {
      const lock = await etcd.lock('lock', options)
      await hold(place, lock, { lock: 'lock', limit: 1, isExclusive: true }, () => lock.release())
    }),
    place.repeat('write lock', async () => {
      const lock = await rwLock.write(options)
      await hold(place, lock, { lock: 'rw', limit: 1, isExclusive: true }, () => lock.release())
    }),
    place.repeat('read lock', async () => {
      const lock = await rwLock.read(options)
      await hold(place, lock, { lock: 'rw', limit: Number.MAX_SAFE_INTEGER, isExclusive: false }, () => lock.release())
    }),
    place.repeat('permit', async () => {
      const permit = await semaphore.acquire(options)
      await hold(place, permit, { lock: 'permits', limit: 2, isExclusive: false }, () => permit.release())
    }),
    place.repeat('leadership', async () => {
      const leadership = await election.campaign(`worker ${place.task.worker}`, { timeoutMs: 5000 })
      await hold(place, leadership, { lock: 'leaders', limit: 1, isExclusive: true }, () => leadership.resign())
    }),
  ])
}

async function hold(
  { journal, random }: Workplace,
  { fence, signal }: Handle,
  kind: { readonly lock: string; readonly limit: number; readonly isExclusive: boolean },
  release: () => Promise<void>,
): Promise<void> {
  const from = now()
  let lostAt = Number.POSITIVE_INFINITY
  const onAbort = (): void => {
    lostAt = now()
  }
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  await sleep(5 + random() * 40)
  signal.removeEventListener('abort', onAbort)
  journal.write({ kind: 'held', ...kind, fence, from, to: Math.min(now(), lostAt) })
  await release()
}
