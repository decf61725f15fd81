import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../records.js'
import type { Workplace } from '../worker.js'

/** Keys with leases that are kept alive: none is gone while its lease is reported as alive, none outlives the revocation. */
export async function leases({ etcd, task, journal, random, repeat }: Workplace): Promise<void> {
  let count = 0
  await repeat('lease', async () => {
    const key = `lease/${task.worker}.${count++}`
    const lease = await etcd.lease.grant(3)
    let aliveUntil = 0
    let isLeft: boolean | undefined
    try {
      await etcd.put(key, 'alive', { lease: lease.id })
      const end = now() + random() * 3000
      for (let at = now(); lease.isAlive() && at < end; at = now()) {
        aliveUntil = at
        await sleep(20)
      }
      await lease.revoke()
      isLeft = await etcd.exists(key, { mode: 'linearizable' })
    } finally {
      journal.write({ kind: 'lease', key, aliveUntil, isLeft })
      if (isLeft === undefined) await lease.revoke()
    }
  })
}
