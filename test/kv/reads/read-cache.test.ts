import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { encodeRange } from '../../../src/core/key-range.js'
import { KeyValue } from '../../../src/core/key-value.js'
import { kvService } from '../../../src/kv/kv-service.js'
import { withCacheInvalidation } from '../../../src/kv/reads/cache-invalidation.js'
import { type LocalCopy, ReadCache } from '../../../src/kv/reads/read-cache.js'
import { callContext } from '../../../src/transport/transport.js'
import { fakeTransport, header } from '../../support/fake-transport.js'

const range = encodeRange({ prefix: 'a/' })
const answer = (revision: number, size = 10) => ({
  response: { header: header({ revision }), kvs: [], more: false, count: 0 },
  endpoint: 'm0',
  bytes: size,
})

/** Reads a range and keeps the answer. */
function keep(cache: ReadCache, name: string, revision: number, size?: number): void {
  const request = encodeRange(name)
  cache.end(cache.begin(request, request), answer(revision, size))
}

function kept(cache: ReadCache, name: string): number | undefined {
  const request = encodeRange(name)
  return cache.answer(request, request)?.response.header?.revision
}

/** Puts `a/1`; the put succeeds, or fails, after `meanwhile`. */
async function put(cache: ReadCache, meanwhile: () => void, revision: number | Error): Promise<void> {
  const transport = fakeTransport(() => {
    meanwhile()
    if (typeof revision !== 'number') throw revision
    return { header: header({ revision }) }
  })
  const context = callContext(undefined, { requiresFloor: true, proposal: true })
  const kv = withCacheInvalidation(kvService(transport), cache)
  await kv.put({ key: Buffer.from('a/1'), value: Buffer.from('new') }, context)
}

describe('The read cache', () => {
  test('keeps the most recent answers within its size limit', () => {
    const cache = new ReadCache({ maxAgeMs: 10_000, maxBytes: 25 })
    for (const [index, name] of ['a', 'b', 'c'].entries()) keep(cache, name, index + 1)
    assert.deepEqual(
      ['a', 'b', 'c'].map((name) => kept(cache, name)),
      [undefined, 2, 3],
    )
    keep(cache, 'large', 4, 26)
    assert.deepEqual(
      ['b', 'c', 'large'].map((name) => kept(cache, name)),
      [2, 3, undefined],
    )
  })

  test('keeps no answer longer than its age, counted from the request', (t) => {
    let now = 1000
    t.mock.method(performance, 'now', () => now)
    const cache = new ReadCache({ maxAgeMs: 50, maxBytes: 1000 })
    const request = encodeRange('a')
    const pending = cache.begin(request, request)
    now = 1030
    cache.end(pending, answer(1))
    now = 1050
    assert.equal(kept(cache, 'a'), 1)
    now = 1051
    assert.equal(kept(cache, 'a'), undefined)
  })

  test('returns separate key-value pairs to each caller', () => {
    const cache = new ReadCache({ maxAgeMs: 10_000, maxBytes: 1000 })
    const request = encodeRange('a')
    const kv = Object.assign(new KeyValue(), { key: Buffer.from('a'), value: Buffer.from('value') })
    const { response, ...rest } = answer(1)
    cache.end(cache.begin(request, request), { response: { ...response, kvs: [kv] }, ...rest })
    const answers = [1, 2].map(() => cache.answer(request, request)?.response.kvs[0])
    assert.deepEqual(answers, [kv, kv])
    assert.equal(new Set([kv, ...answers]).size, 3)
  })

  test('keeps nothing without limits', () => {
    const cache = new ReadCache(undefined)
    keep(cache, 'a', 1)
    assert.deepEqual([kept(cache, 'a'), cache.isInUse], [undefined, false])
  })

  test('drops answers with keys that this client has written, and reads in flight meanwhile', () => {
    const cache = new ReadCache({ maxAgeMs: 10_000, maxBytes: 1000 })
    for (const name of ['a/1', 'b']) keep(cache, name, 1)
    const [asking, other] = ['a/2', 'b/2'].map((name) => cache.begin(encodeRange(name), encodeRange(name)))
    cache.invalidate(range, undefined)
    cache.end(asking, answer(1))
    cache.end(other, answer(1))
    assert.deepEqual(
      ['a/1', 'a/2', 'b', 'b/2'].map((name) => kept(cache, name)),
      [undefined, undefined, 1, 1],
    )
    cache.clear()
    assert.equal(kept(cache, 'b'), undefined)
  })

  test("requires the revision of this client's writes from a copy, and does not use a removed one", () => {
    const asked: number[] = []
    const copy = { range, answer: (_: unknown, revision: number) => void asked.push(revision) }
    const cache = new ReadCache(undefined)
    const end = cache.add(copy as LocalCopy)
    kept(cache, 'a/1')
    cache.invalidate(encodeRange('a/1'), 7)
    cache.invalidate(encodeRange('b'), 9)
    kept(cache, 'a/1')
    kept(cache, 'b')
    assert.deepEqual(asked, [0, 7])
    end()
    kept(cache, 'a/1')
    assert.deepEqual([asked, cache.isInUse], [[0, 7], false])
  })

  test('drops answers received during a write, also if it was empty when the write started', async () => {
    const cache = new ReadCache({ maxAgeMs: 10_000, maxBytes: 1000 })
    const asked: number[] = []
    const meanwhile = (): void => {
      for (const name of ['a/1', 'b']) keep(cache, name, 1)
    }
    await put(cache, meanwhile, 7)
    assert.deepEqual([kept(cache, 'a/1'), kept(cache, 'b')], [undefined, 1])
    cache.clear()
    await assert.rejects(put(cache, meanwhile, new Error('lost')), /lost/)
    assert.deepEqual([kept(cache, 'a/1'), kept(cache, 'b')], [undefined, 1])
    cache.clear()
    const copy = { range, answer: (_: unknown, revision: number) => void asked.push(revision) }
    await put(cache, () => cache.add(copy as LocalCopy), 8)
    kept(cache, 'a/1')
    assert.deepEqual(asked, [8])
  })

  test('drops what a transaction may have written, in either branch and in nested ones', async () => {
    const key = Buffer.from('a/1')
    const operation = { requestPut: { key, value: Buffer.from('new') } }
    const branches = [{ success: [operation] }, { failure: [operation] }]
    const nested = branches.map((requestTxn) => ({ success: [{ requestTxn }] }))
    const deletion = { success: [{ requestDeleteRange: { key } }] }
    for (const request of [...branches, ...nested, deletion]) {
      const cache = new ReadCache({ maxAgeMs: 10_000, maxBytes: 1000 })
      for (const name of ['a/1', 'b']) keep(cache, name, 1)
      const transport = fakeTransport(() => ({ header: header({ revision: 7 }), succeeded: true, responses: [] }))
      const kv = withCacheInvalidation(kvService(transport), cache)
      await kv.txn(request, callContext(undefined, { requiresFloor: true, proposal: true }))
      assert.deepEqual([kept(cache, 'a/1'), kept(cache, 'b')], [undefined, 1], JSON.stringify(request))
    }
  })

  test('forgets everything about another history, reads in flight and own writes included', () => {
    const cache = new ReadCache({ maxAgeMs: 10_000, maxBytes: 1000 })
    const asked: number[] = []
    const copy = { range, answer: (_: unknown, revision: number) => void asked.push(revision) }
    cache.add(copy as LocalCopy)
    cache.invalidate(encodeRange('a/1'), 7)
    const inFlight = cache.begin(encodeRange('b'), encodeRange('b'))
    cache.clear()
    cache.end(inFlight, answer(1))
    assert.deepEqual([kept(cache, 'a/1'), kept(cache, 'b')], [undefined, undefined])
    assert.deepEqual(asked, [0])
  })

  test('drops all answers when a lease is revoked', () => {
    const cache = new ReadCache({ maxAgeMs: 10_000, maxBytes: 1000 })
    const asked: number[] = []
    const copy = { range, answer: (_: unknown, revision: number) => void asked.push(revision) }
    cache.add(copy as LocalCopy)
    for (const name of ['a/1', 'b']) keep(cache, name, 1)
    cache.invalidateEveryKey(7)
    assert.deepEqual([kept(cache, 'a/1'), kept(cache, 'b')], [undefined, undefined])
    assert.deepEqual(asked, [7])
  })
})
