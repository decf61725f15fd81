import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../records.js'
import { digestOf } from '../view-digest.js'
import type { Workplace } from '../worker.js'

/** An informer of all registers, whose content is written down again and again. */
export async function views({ task, etcd, journal }: Workplace): Promise<void> {
  const informer = etcd.informer({ prefix: 'reg/' })
  let last = 0
  while (now() < task.until) {
    await sleep(50)
    const snapshot = informer.snapshot()
    if (snapshot.revision === last || snapshot.revision === 0) continue
    last = snapshot.revision
    const digest = digestOf(snapshot.list().map(({ keyText, modRevision }) => [keyText, modRevision]))
    journal.write({ kind: 'view', informer: `informer ${task.worker}`, revision: last, digest })
    journal.count('informer views')
  }
  await informer.close()
}
