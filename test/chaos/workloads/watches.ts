import { CompactedError } from '../../../src/index.js'
import type { Workplace } from '../worker.js'

/** A watch of everything from the beginning, which ends with the key that ends the run. */
export async function watches({ task, etcd, journal }: Workplace): Promise<void> {
  const watch = `watch ${task.worker}`
  const watcher = etcd.watch({ from: '' }, { startRevision: 1, progress: true })
  try {
    for await (const { revision, events } of watcher.batches()) {
      const seen = events.map(({ type, kv }) => ({
        type,
        key: kv.key.toString('latin1'),
        value: kv.value.toString('latin1'),
        revision: kv.modRevision,
      }))
      journal.write({ kind: 'batch', watch, revision, events: seen })
      journal.count('watch batches')
      if (events.some(({ kv }) => kv.key.toString() === task.endKey)) break
    }
  } catch (error) {
    journal.write({ kind: 'trouble', workload: watch, error: String(error) })
    if (!(error instanceof CompactedError)) throw error
  }
}
