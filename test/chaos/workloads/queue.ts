import { ClaimUnknownError, isEtcdError } from '../../../src/index.js'
import type { Workplace } from '../worker.js'

/** Items that all workers put into one queue and take out of it. */
export async function queue({ etcd, task, journal, repeat }: Workplace): Promise<void> {
  const items = etcd.queue('items')
  let count = 0
  await Promise.all([
    repeat('enqueue', async () => {
      const item = `${task.worker}.${count++}`
      try {
        await items.enqueue(item)
        journal.write({ kind: 'enqueued', item, effect: 'ok' })
      } catch (error) {
        journal.write({ kind: 'enqueued', item, effect: isEtcdError(error) ? error.effect : 'unknown' })
        throw error
      }
    }),
    repeat('dequeue', async () => {
      try {
        const { valueText } = await items.dequeue({ timeoutMs: 1000 })
        journal.write({ kind: 'dequeued', item: valueText, effect: 'ok' })
      } catch (error) {
        if (error instanceof ClaimUnknownError) {
          journal.write({ kind: 'dequeued', item: error.item.valueText, effect: 'unknown' })
        }
        throw error
      }
    }),
  ])
}
