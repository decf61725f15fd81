import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../records.js'
import { digestOf } from '../view-digest.js'
import type { Workplace } from '../worker.js'

/** An informer of all registers: its content again and again, and each change that its handler receives. */
export async function views({ task, etcd, journal }: Workplace): Promise<void> {
  const prefix = 'reg/'
  const name = `informer ${task.worker}`
  const informer = etcd.informer({ prefix })
  informer.subscribe(({ type, keyText, revision, source }) => {
    journal.write({ kind: 'change', informer: name, type, key: keyText, revision, source })
    journal.count('informer change', 'ok')
  })
  let last = 0
  while (now() < task.until) {
    await sleep(50)
    const snapshot = informer.snapshot()
    if (snapshot.revision === last || snapshot.revision === 0) continue
    last = snapshot.revision
    const digest = digestOf(snapshot.list().map(({ keyText, modRevision }) => [keyText, modRevision]))
    journal.write({ kind: 'view', viewer: name, prefix, revision: last, digest })
    journal.count('informer view', 'ok')
  }
  await informer.close()
}
