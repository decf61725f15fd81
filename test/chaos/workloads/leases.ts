import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../records.js'
import type { Workplace } from '../worker.js'

/** Keys with leases that are kept alive: none is gone before its lease was revoked or was reported to be lost. */
export async function leases({ etcd, task, journal, random, repeat }: Workplace): Promise<void> {
  let count = 0
  await repeat('lease', async () => {
    const key = `lease/${task.worker}.${count++}`
    const lease = await etcd.lease.grant(3)
    try {
      await etcd.put(key, 'alive', { lease: lease.id })
      await sleep(random() * 3000)
    } finally {
      journal.write({ kind: 'lease', key, endedAt: now(), isLost: !lease.isAlive() })
      await lease.revoke()
    }
  })
}
