import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../records.js'
import type { Workplace } from '../worker.js'

interface Handle {
  readonly fence: number
  isHeld(): boolean
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
      const handle = { fence: leadership.fence, isHeld: () => leadership.isLeader() }
      await hold(place, handle, { lock: 'leaders', limit: 1, isExclusive: true }, () => leadership.resign())
    }),
  ])
}

async function hold(
  { journal, random }: Workplace,
  handle: Handle,
  kind: { readonly lock: string; readonly limit: number; readonly isExclusive: boolean },
  release: () => Promise<void>,
): Promise<void> {
  const from = now()
  let to: number | undefined
  const end = from + 5 + random() * 40
  // A process that was stopped holds nothing after it goes on: only the moments count at which the handle says so.
  for (let at = from; handle.isHeld() && (to === undefined || at < end); at = now()) {
    to = at
    await sleep(5)
  }
  if (to !== undefined) journal.write({ kind: 'held', ...kind, fence: handle.fence, from, to })
  await release()
}
