import { isEtcdError } from '../../../src/index.js'
import type { Workplace } from '../worker.js'

/** Writes of keys that are written once, alone and in groups. */
export async function singleWrites({ etcd, task, journal, repeat }: Workplace): Promise<void> {
  const grouped = etcd.batcher()
  let count = 0
  await Promise.all(
    [etcd, grouped, grouped, grouped].map((store) =>
      repeat('single write', async () => {
        const key = `once/${task.worker}.${count++}`
        try {
          const { revision } = await store.put(key, key)
          journal.write({ kind: 'once', key, effect: 'ok', revision })
        } catch (error) {
          journal.write({ kind: 'once', key, effect: isEtcdError(error) ? error.effect : 'unknown', revision: 0 })
          throw error
        }
      }),
    ),
  )
}
