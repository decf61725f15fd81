import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { KeyStore } from '../../src/concurrency/concurrency-host.js'
import { ItemConsumer } from '../../src/concurrency/queues/item-consumer.js'
import { EtcdError } from '../../src/core/errors.js'
import { MemoryStore } from '../support/memory-store.js'

const denied = new EtcdError('denied', { code: 'PERMISSION_DENIED', effect: 'none' })

describe('An item that a consumer could not take', () => {
  test('wakes the next consumer of the process, which waits for an item', async () => {
    const store = new MemoryStore()
    store.write('jobs/1700000000000000000', 'work')
    let watches = 0
    let refuse = (): void => {}
    const refused = new Promise<void>((resolve) => {
      refuse = resolve
    })
    const kept = {
      txn: () => store.txn(),
      watch: (_: unknown, { signal }: { readonly signal: AbortSignal }) => {
        watches += 1
        return { batches: () => store.watch(undefined, { signal }) }
      },
    } as unknown as KeyStore
    const items = { folder: 'jobs/', form: 'item', sort: { target: 'modRevision' } } as const
    const consumer = new ItemConsumer(items, { store: kept, obstacle: () => undefined })
    store.transits.push(
      (apply) => apply(),
      async () => {
        await refused
        throw denied
      },
    )
    const [first, second] = [consumer.take({}), consumer.take({ timeoutMs: 10_000 })]
    while (watches === 0) await new Promise((resolve) => setImmediate(resolve))
    refuse()
    await assert.rejects(first, denied)
    assert.equal((await second).valueText, 'work')
  })
})
