import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { json } from '../../src/core/codec.js'
import { key } from '../../src/kv/compare.js'
import { deleteKey, get, put } from '../../src/kv/operation.js'
import { TypedKeyspace, type TypedStore } from '../../src/typed/typed-keyspace.js'
import { TypedWatcher } from '../../src/typed/typed-watcher.js'
import { ValueCodec } from '../../src/typed/value-codec.js'
import { WatchEvent } from '../../src/watch/watch-event.js'
import type { Watcher } from '../../src/watch/watcher.js'
import { kvOf } from '../informer/fixtures.js'

const prefix = 'größen/'
const codec = json<number>()

/** Records each call of its methods. They return what `results` has for them. */
function recorder(results: Readonly<Record<string, unknown>> = {}) {
  const calls: unknown[][] = []
  const target = new Proxy(
    {},
    {
      get:
        (_, name) =>
        (...args: unknown[]) => {
          calls.push([name, ...args])
          return results[String(name)]
        },
    },
  )
  return { calls, target }
}

describe('Typed values', () => {
  test('have the options of the calls that are made for them', async () => {
    const { calls, target } = recorder({
      putIf: { succeeded: true },
      deleteIf: { succeeded: true },
      list: {},
      watch: {},
    })
    const typed = new TypedKeyspace(target as TypedStore, prefix, codec)
    const wrong = { toJSON: () => assert.fail('not now') } as never
    await assert.rejects(typed.put('a', wrong), ({ cause }: Error) => cause instanceof assert.AssertionError)
    assert.deepEqual(calls, [])
    const options = { timeoutMs: 7 }
    const value = codec.encode(5)
    await typed.get('a', options)
    await typed.exists('a', options)
    await typed.count('a', options)
    await typed.put('a', 5, options)
    await typed.putIf('a', 5, 3, options)
    await typed.delete('a', options)
    await typed.deleteIf('a', 3, options)
    await typed.deleteRange('a', options)
    typed.list('a', options)
    typed.watch('a', { prevKv: true })
    typed.informer('a', { maxQueuedChanges: 9 })
    typed.value('a')
    assert.deepEqual(calls, [
      ['get', 'a', options],
      ['exists', 'a', options],
      ['count', 'a', options],
      ['put', 'a', value, options],
      ['putIf', 'a', value, 3, options],
      ['delete', 'a', options],
      ['deleteIf', 'a', 3, options],
      ['deleteRange', 'a', options],
      ['list', 'a', options],
      ['watch', 'a', { prevKv: true }],
      ['informer', 'a', { maxQueuedChanges: 9, codec }],
      ['value', 'a', codec],
    ])
    typed.update('a', () => 6, options)
    assert.deepEqual(calls.at(-1)?.[2 + 1], options)
    assert.throws(
      () => typed.informer('a', { codec } as object),
      /unknown option `codec` of informer\(\) of typed values/,
    )
    assert.throws(
      () => new TypedKeyspace(target as TypedStore, prefix, { decode: codec.decode } as never),
      /without encode/,
    )
  })

  test('are operations and comparisons of a transaction as bytes are', () => {
    const { ops } = new TypedKeyspace(recorder().target as TypedStore, prefix, codec)
    const bytes = codec.encode(5)
    const own = ops.key('a').value
    const { value } = key(`${prefix}a`)
    for (const name of ['equals', 'notEquals', 'greater', 'less'] as const) {
      assert.deepEqual(own[name](5).compare, value[name](bytes).compare, name)
    }
    assert.deepEqual(ops.get('a', { revision: 3 }).request, get(`${prefix}a`, { revision: 3 }).request)
    assert.deepEqual(ops.put('a', 5, { lease: '7' }).request, put(`${prefix}a`, bytes, { lease: '7' }).request)
    assert.deepEqual(ops.deleteKey('a', { prevKv: true }).request, deleteKey(`${prefix}a`, { prevKv: true }).request)
    const kv = Object.assign(kvOf(`${prefix}a`, '5', 3), { lease: '7' })
    const range = { header: undefined, kvs: [kv], more: false, count: 1 }
    const entry = ops.get('a').read({ responseRange: range } as never)
    assert.deepEqual({ ...entry }, { ...entry, keyText: 'a', value: 5, modRevision: 3, lease: '7' })
  })

  test('arrive with everything that their event has, and requests reach the watch', async () => {
    const closed: string[] = []
    const events = [
      new WatchEvent('put', Object.assign(kvOf('a', '5', 3), { createRevision: 3 }), undefined),
      new WatchEvent('delete', kvOf('a', '', 4), kvOf('a', '5', 3)),
    ]
    const { calls, target } = recorder({ ready: Promise.resolve(1) })
    const watcher = Object.assign(Object.create(target), {
      async *[Symbol.asyncIterator]() {
        try {
          yield* events
        } finally {
          closed.push('left')
        }
      },
    }) as Watcher
    const typed = new TypedWatcher(watcher, new ValueCodec(codec))
    typed.requestProgress()
    await typed.ready({ timeoutMs: 7 })
    assert.deepEqual(calls, [['requestProgress'], ['ready', { timeoutMs: 7 }]])
    const seen: unknown[] = []
    for await (const event of typed) {
      seen.push([event.type, event.revision, event.type === 'put' && event.created, event.prevKv?.valueText])
      if (event.type === 'delete') break
    }
    assert.deepEqual(seen, [
      ['put', 3, true, undefined],
      ['delete', 4, false, '5'],
    ])
    assert.deepEqual(closed, ['left'])
  })
})
