import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, type TestContext, test } from 'node:test'
import { CompactedError, EtcdError } from '../../src/core/errors.js'
import { Compactor, type CompactorHost, type CompactorOptions } from '../../src/maintenance/compactor.js'
import { FakeClock } from '../support/fake-clock.js'
import { MemoryStore } from '../support/memory-store.js'

const key = 'compact_rev_key'

/** A compactor that keeps 1000 ms of history, in a store that the test controls. */
function compactorOf(t: TestContext, options: CompactorOptions = {}) {
  const clock = new FakeClock(t)
  const store = new MemoryStore()
  const closing = new AbortController()
  const compactions: number[] = []
  const failures: Error[] = []
  const restored: (() => void)[] = []
  let left = 0
  const kv = {
    txn: () => store.txn(),
    range: async () => {
      const failure = failures.shift()
      if (failure !== undefined) throw failure
      const kv = store.get(key)
      return { kvs: kv === undefined ? [] : [kv], revision: store.revision }
    },
    compact: async (revision: number) => {
      const failure = failures.shift()
      if (failure !== undefined) throw failure
      compactions.push(revision)
    },
  } as unknown as CompactorHost['kv']
  const onRestored = (listener: () => void) => {
    restored.push(listener)
    return () => {
      left += 1
    }
  }
  const host = { kv, closing: closing.signal, onRestored }
  const compactor = new Compactor(host, { retainMs: 1000, ...options })
  const events: unknown[] = []
  for (const name of ['compacted', 'yielded', 'retrying'] as const) compactor.on(name, () => events.push(name))
  t.after(() => compactor.close())
  return { clock, store, closing, compactions, failures, restored, compactor, events, left: () => left }
}

const noLeader = new EtcdError('no leader', { code: 'NO_LEADER', effect: 'none', retryable: true })

describe('A compactor', () => {
  test('discards what it has seen for long enough, round by round, and records it', async (t) => {
    const { clock, store, compactions, compactor, events } = compactorOf(t)
    await clock.advance(0)
    assert.equal(compactor.compactRevision, undefined)
    await clock.advance(1002)
    assert.deepEqual([compactions, compactor.compactRevision, store.get(key)?.valueText], [[1], 1, '1'])
    await clock.advance(1002)
    assert.deepEqual(
      [compactions, events],
      [
        [1, 2],
        ['compacted', 'compacted'],
      ],
    )
    assert.equal(compactor.state.kind, 'waiting')
  })

  test('leaves a round to the one that has written the key first', async (t) => {
    const { clock, store, compactions, compactor, events } = compactorOf(t)
    await clock.advance(0)
    store.write(key, '1')
    await clock.advance(1002)
    assert.deepEqual([compactions, events, compactor.compactRevision], [[], ['yielded'], 1])
  })

  test('forgets what it has seen of a cluster that was restored', async (t) => {
    const { clock, store, compactions, restored } = compactorOf(t)
    store.write('a', '')
    await clock.advance(500)
    restored[0]?.()
    await clock.advance(502)
    assert.deepEqual(compactions, [])
    await clock.advance(1002)
    assert.deepEqual(compactions, [2])
  })

  test('tries again sooner after a failure, and takes a shorter history for done', async (t) => {
    const { clock, store, compactions, failures, compactor, events } = compactorOf(t, {
      intervalMs: 60_000,
      retainMs: 1,
    })
    store.write('a', '')
    await clock.advance(0)
    failures.push(noLeader)
    await clock.advance(60_002)
    assert.deepEqual([events, compactor.state], [['retrying'], { kind: 'retrying', error: noLeader }])
    await clock.advance(500)
    assert.equal(compactor.state.kind, 'waiting')
    failures.push(new CompactedError('done', { effect: 'none' }))
    store.write('a', '')
    await clock.advance(60_002)
    assert.deepEqual([events.filter((name) => name === 'retrying').length, compactor.state.kind], [1, 'waiting'])
    assert.ok(compactions.length > 0)
  })

  test('ends with its client, or as soon as that is closed, and leaves nothing', async (t) => {
    const { clock, closing, compactor, left } = compactorOf(t)
    await clock.advance(0)
    closing.abort()
    await compactor.close()
    assert.deepEqual([compactor.state.kind, left(), clock.timers], ['closed', 1, 0])
    t.mock.restoreAll()
    const other = compactorOf(t)
    await other.clock.advance(0)
    assert.equal(getEventListeners(other.closing.signal, 'abort').length, 1)
    await other.compactor.close()
    assert.deepEqual([getEventListeners(other.closing.signal, 'abort').length, other.clock.timers], [0, 0])
    t.mock.restoreAll()
    const refused = compactorOf(t)
    refused.failures.push(new EtcdError('closed', { code: 'CLOSED', effect: 'none' }))
    await refused.clock.advance(1002)
    assert.deepEqual([refused.compactor.state.kind, refused.events], ['closed', []])
  })
})
