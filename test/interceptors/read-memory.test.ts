import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { encodeRange } from '../../src/core/key-range.js'
import { KeyValue } from '../../src/core/key-value.js'
import { type LocalCopy, ReadCache } from '../../src/kv/reads/read-cache.js'
import { readCacheLayer } from '../../src/kv/reads/read-cache-layer.js'
import { type Method, methods } from '../../src/protobuf/methods.js'
import { callContext } from '../../src/transport/transport.js'
import { fakeTransport, header } from '../support/fake-transport.js'

const range = encodeRange({ prefix: 'a/' })
const answer = (revision: number, size = 10) => ({
  response: { header: header({ revision }), kvs: [], more: false, count: 0 },
  endpoint: 'm0',
  bytes: size,
})

/** Asks for a range and keeps what comes, as a read does. */
function keep(memory: ReadCache, name: string, revision: number, size?: number): void {
  const request = encodeRange(name)
  memory.asked(memory.ask(request, request), answer(revision, size))
}

function kept(memory: ReadCache, name: string): number | undefined {
  const request = encodeRange(name)
  return memory.answer(request, request)?.response.header?.revision
}

/** Makes a write that is answered, or fails, after `meanwhile`. */
async function write<Request>(
  memory: ReadCache,
  [method, request]: readonly [Method<Request, unknown>, Request],
  meanwhile: () => void,
  revision: number | Error,
): Promise<void> {
  const transport = fakeTransport(() => {
    meanwhile()
    if (typeof revision !== 'number') throw revision
    return { header: header({ revision }) }
  })
  const context = callContext(undefined, { requiresFloor: true, proposal: true })
  await readCacheLayer(memory)(transport).unary(method, request, context)
}

describe('The memory of reads', () => {
  test('keeps answers within its bytes, those that were asked for last', () => {
    const memory = new ReadCache({ maxAgeMs: 10_000, maxBytes: 25 })
    for (const [index, name] of ['a', 'b', 'c'].entries()) keep(memory, name, index + 1)
    assert.deepEqual(
      ['a', 'b', 'c'].map((name) => kept(memory, name)),
      [undefined, 2, 3],
    )
    keep(memory, 'large', 4, 26)
    assert.deepEqual(
      ['b', 'c', 'large'].map((name) => kept(memory, name)),
      [2, 3, undefined],
    )
  })

  test('gives each who asks key-value pairs of its own', () => {
    const memory = new ReadCache({ maxAgeMs: 10_000, maxBytes: 1000 })
    const request = encodeRange('a')
    const kv = Object.assign(new KeyValue(), { key: Buffer.from('a'), value: Buffer.from('value') })
    const { response, ...rest } = answer(1)
    memory.asked(memory.ask(request, request), { response: { ...response, kvs: [kv] }, ...rest })
    const answers = [1, 2].map(() => memory.answer(request, request)?.response.kvs[0])
    assert.deepEqual(answers, [kv, kv])
    assert.equal(new Set([kv, ...answers]).size, 3)
  })

  test('keeps nothing without limits', () => {
    const memory = new ReadCache(undefined)
    keep(memory, 'a', 1)
    assert.deepEqual([kept(memory, 'a'), memory.isInUse], [undefined, false])
  })

  test('forgets what this client has written, and what was under way meanwhile', () => {
    const memory = new ReadCache({ maxAgeMs: 10_000, maxBytes: 1000 })
    for (const name of ['a/1', 'b']) keep(memory, name, 1)
    const [asking, other] = ['a/2', 'b/2'].map((name) => memory.ask(encodeRange(name), encodeRange(name)))
    memory.wrote(range, undefined)
    memory.asked(asking, answer(1))
    memory.asked(other, answer(1))
    assert.deepEqual(
      ['a/1', 'a/2', 'b', 'b/2'].map((name) => kept(memory, name)),
      [undefined, undefined, 1, 1],
    )
    memory.clear()
    assert.equal(kept(memory, 'b'), undefined)
  })

  test('asks a copy for no less than what this client has written there, and not one that is over', () => {
    const asked: number[] = []
    const copy = { range, answer: (_: unknown, revision: number) => void asked.push(revision) }
    const memory = new ReadCache(undefined)
    const end = memory.add(copy as LocalCopy)
    kept(memory, 'a/1')
    memory.wrote(encodeRange('a/1'), 7)
    memory.wrote(encodeRange('b'), 9)
    kept(memory, 'a/1')
    kept(memory, 'b')
    assert.deepEqual(asked, [0, 7])
    end()
    kept(memory, 'a/1')
    assert.deepEqual([asked, memory.isInUse], [[0, 7], false])
  })

  test('forgets what it was given while a write was under way, also where it was empty when that began', async () => {
    const memory = new ReadCache({ maxAgeMs: 10_000, maxBytes: 1000 })
    const asked: number[] = []
    const meanwhile = (): void => {
      for (const name of ['a/1', 'b']) keep(memory, name, 1)
    }
    const put = [methods.KV.Put, { key: Buffer.from('a/1'), value: Buffer.from('new') }] as const
    await write(memory, put, meanwhile, 7)
    assert.deepEqual([kept(memory, 'a/1'), kept(memory, 'b')], [undefined, 1])
    memory.clear()
    await assert.rejects(write(memory, put, meanwhile, new Error('lost')), /lost/)
    assert.deepEqual([kept(memory, 'a/1'), kept(memory, 'b')], [undefined, 1])
    memory.clear()
    const copy = { range, answer: (_: unknown, revision: number) => void asked.push(revision) }
    await write(memory, put, () => memory.add(copy as LocalCopy), 8)
    kept(memory, 'a/1')
    assert.deepEqual(asked, [8])
  })

  test('forgets every key when this client revokes a lease, whose keys it does not know', async () => {
    const memory = new ReadCache({ maxAgeMs: 10_000, maxBytes: 1000 })
    const asked: number[] = []
    const copy = { range, answer: (_: unknown, revision: number) => void asked.push(revision) }
    memory.add(copy as LocalCopy)
    for (const name of ['a/1', 'b']) keep(memory, name, 1)
    await write(memory, [methods.Lease.LeaseRevoke, { ID: '1' }], () => {}, 7)
    assert.deepEqual([kept(memory, 'a/1'), kept(memory, 'b')], [undefined, undefined])
    assert.deepEqual(asked, [7])
  })
})
