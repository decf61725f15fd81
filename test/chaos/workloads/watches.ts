import { eventText } from '../records.js'
import type { Workplace } from '../worker.js'

/** Follows everything from the beginning to the key that ends the run. */
export async function followAll({ task, etcd, journal }: Workplace, moved: (revision: number) => void): Promise<void> {
  const watch = `watch ${task.worker}`
  for await (const { revision, events } of etcd.watch({ from: '' }, { startRevision: 1, progress: true }).batches()) {
    const seen = events.map(({ type, kv }) =>
      eventText({
        type,
        key: kv.key.toString('latin1'),
        value: kv.value.toString('latin1'),
        revision: kv.modRevision,
      }),
    )
    journal.write({ kind: 'batch', watch, revision, events: seen })
    journal.count('watch batch', 'ok')
    moved(revision)
    if (events.some(({ kv }) => kv.key.toString() === task.endKey)) break
  }
}
