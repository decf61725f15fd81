import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { KeyStore } from '../../src/concurrency/concurrency-host.js'
import { ForeignKeyError, QueueKey } from '../../src/concurrency/queue-key.js'
import { CompactedError, EtcdError } from '../../src/core/errors.js'
import { key as keyOf } from '../../src/kv/compare.js'
import type { Session } from '../../src/lease/session.js'
import { FakeClock } from '../support/fake-clock.js'
import { FakeLease } from '../support/fake-lease.js'
import { MemoryStore } from '../support/memory-store.js'

/** The key `jobs/1` of a session with the lease 1, in a store that the test controls. */
function queueKey(t: TestContext) {
  const clock = new FakeClock(t)
  const store = new MemoryStore()
  const ends: string[] = []
  const session = Object.assign(new FakeLease('1', 10), {
    retire: () => ends.push('retired'),
    release: () => ends.push('released'),
  })
  const key = new QueueKey(Buffer.from('jobs/1'), session as unknown as Session, store as unknown as KeyStore)
  const create = () => key.create('mine', [], new AbortController().signal)
  const stored = () => store.get('jobs/1')?.valueText
  return { clock, store, session, ends, key, create, stored }
}

const cut = new EtcdError('cut', { code: 'CONNECTION_LOST', effect: 'unknown', retryable: true })
const denied = new EtcdError('denied', { code: 'PERMISSION_DENIED', effect: 'none' })

function fails(error: Error): () => never {
  return () => {
    throw error
  }
}

describe('The key of a holder', () => {
  test('is created once although the answer was lost, and its lease then serves nobody else', async (t) => {
    const { clock, store, ends, key, create, stored } = queueKey(t)
    store.transits.push((apply) => {
      apply()
      throw cut
    })
    const creating = create()
    await clock.advance(100)
    assert.deepEqual([(await creating).exists, store.get('jobs/1')?.version], [true, 1])
    await key.leave()
    assert.deepEqual([stored(), ends], [undefined, ['retired', 'retired', 'released']])
    // The request may arrive again, but the key of somebody else is not deleted.
    store.write('jobs/1', 'late', '1')
    await clock.advance(1000)
    assert.equal(stored(), undefined)
    store.write('jobs/1', 'theirs', '2')
    await clock.advance(10_000)
    assert.equal(stored(), 'theirs')
  })

  test('leaves the lease to others if its creation was refused', async (t) => {
    const { store, ends, key, create } = queueKey(t)
    store.transits.push(fails(denied))
    await assert.rejects(create(), denied)
    await key.leave()
    assert.deepEqual(ends, ['released'])
  })

  test('is not taken for the key of another client with the same lease', async (t) => {
    const { store, key, create, stored } = queueKey(t)
    store.write('jobs/1', 'theirs', '1')
    await assert.rejects(create(), ForeignKeyError)
    await key.leave()
    assert.equal(stored(), 'theirs')
  })

  test('is rewritten unless somebody has overwritten it', async (t) => {
    const { store, key, create, stored } = queueKey(t)
    await create()
    assert.equal(await key.rewrite('second'), store.revision)
    assert.deepEqual([key.valueText, key.modRevision, stored()], ['second', store.revision, 'second'])
    store.write('jobs/1', 'theirs')
    assert.equal(await key.rewrite('third'), undefined)
    assert.equal(stored(), 'theirs')
  })

  test('is rewritten once although the answer was lost, and not after its lease has ended', async (t) => {
    const { clock, store, session, key, create } = queueKey(t)
    await create()
    store.transits.push((apply) => {
      apply()
      throw cut
    })
    const rewriting = key.rewrite('second')
    await clock.advance(0)
    assert.equal(key.lastError, cut)
    await clock.advance(100)
    assert.deepEqual([await rewriting, store.get('jobs/1')?.version, key.lastError], [store.revision, 2, undefined])
    store.transits.push(() => {
      session.lose('expired')
      throw cut
    })
    await assert.rejects(key.rewrite('third'), cut)
  })

  test('is not created for a caller that has given up, and may exist after any failure but a refusal', async (t) => {
    const { store, ends, key } = queueKey(t)
    const reason = new Error('enough')
    await assert.rejects(key.create('mine', [], AbortSignal.abort(reason)), reason)
    assert.equal(store.revision, 1)
    const strange = new Error('not of this library')
    store.transits.push(fails(strange))
    await assert.rejects(key.create('mine', [], new AbortController().signal), strange)
    await key.leave()
    assert.deepEqual(ends, ['retired', 'retired', 'released'])
  })

  test('is deleted by the one that created it alone', async (t) => {
    const { store, ends, key, create, stored } = queueKey(t)
    const { revision } = await create()
    assert.deepEqual(await key.deleteIf(keyOf('jobs/1').modRevision.equals(revision + 1), []), [])
    assert.equal(await key.ifExists([], new AbortController().signal), revision)
    store.delete('jobs/1')
    store.write('jobs/1', 'theirs', '1')
    assert.equal(await key.ifExists([], new AbortController().signal), undefined)
    await key.leave()
    assert.deepEqual([stored(), ends], ['theirs', ['released']])
  })

  test('is known to be deleted although its history is compacted and the read after that fails', async (t) => {
    const { clock, store, key, create } = queueKey(t)
    await create()
    const next = () => Promise.reject(new CompactedError('compacted', { effect: 'none' }))
    Object.assign(store, { watch: () => ({ batches: () => ({ [Symbol.asyncIterator]: () => ({ next }) }) }) })
    store.transits.push(fails(cut), fails(cut))
    store.delete('jobs/1')
    let isDeleted = false
    const waiting = key.whenDeleted(new AbortController().signal).then(() => {
      isDeleted = true
    })
    await clock.advance(200)
    await waiting
    assert.ok(isDeleted)
  })

  test('that cannot be deleted is left to the end of its lease', async (t) => {
    const { store, session, ends, key, create } = queueKey(t)
    await create()
    store.transits.push(fails(denied))
    await key.leave()
    assert.deepEqual(ends, ['retired', 'released'])
    session.lose('expired')
    await key.leave()
    assert.deepEqual(ends, ['retired', 'released', 'released'])
  })
})
