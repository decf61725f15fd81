import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { EtcdError } from '../../src/core/errors.js'
import { KeyValue } from '../../src/core/key-value.js'
import { cursorAfter, type FetchedPage, Listing, type ListOptions, type PageReader } from '../../src/kv/listing.js'
import type { RangeStreams } from '../../src/kv/range-stream.js'
import { type RangeOptions, rangeRequest } from '../../src/kv/requests.js'
import type { RangeRequest } from '../../src/protobuf/generated/messages.js'
import { collect } from '../support/fixtures.js'

type Asked = RangeOptions & { readonly limit: number }

const range = { prefix: 'k' }

function keyValue(index: number): KeyValue {
  return Object.assign(new KeyValue(), { key: Buffer.from(`k${String(index).padStart(5, '0')}`) })
}

/** A page of a range with `total` keys, the first of them left out. */
function page({ limit }: Asked, first: number, total: number, bytesEach: number, revision: number): FetchedPage {
  const kvs = Array.from({ length: Math.min(limit, total - first) }, (_, index) => keyValue(first + index))
  const more = first + kvs.length < total
  const cursor = cursorAfter(range, { kvs, more, revision })
  const info = { endpoint: 'e', memberId: 'm', clusterId: 'c', mode: 'linearizable', stale: false } as const
  return { result: { ...info, kvs, more, revision, cursor, count: total - first }, bytes: kvs.length * bytesEach }
}

/** A listing of `total` keys, and everything its reader was asked. `before` may fail a read or hold it back. */
function listing(
  total: number,
  options: ListOptions = {},
  before: (index: number, asked: Asked) => unknown = () => {},
) {
  const asked: Asked[] = []
  let first = 0
  const read: PageReader = async (_, pageOptions) => {
    const index = asked.push(pageOptions) - 1
    if (pageOptions.cursor === undefined) first = 0
    const start = first
    first += pageOptions.limit
    await before(index, pageOptions)
    return page(pageOptions, start, total, 100, 7)
  }
  return { asked, list: new Listing(read, range, options) }
}

describe('A listing', () => {
  test('sends nothing before the iteration starts', async () => {
    const { asked, list } = listing(10)
    list.pages()
    await turn()
    assert.equal(asked.length, 0)
  })

  test('passes its options to every page, and its revision only to the first', async () => {
    const options = { keysOnly: true, mode: 'serializable', prefer: 'nearest', timeoutMs: 5, revision: 7 } as const
    const { asked, list } = listing(1200, options)
    await collect(list)
    const common = { keysOnly: true, mode: 'serializable', prefer: 'nearest', fallback: undefined, timeoutMs: 5 }
    for (const { keysOnly, mode, prefer, fallback, timeoutMs } of asked) {
      assert.deepEqual({ keysOnly, mode, prefer, fallback, timeoutMs }, common)
    }
    assert.deepEqual(
      asked.map(({ limit, revision, cursor }) => [limit, revision, cursor !== undefined]),
      [
        [500, 7, false],
        [1000, undefined, true],
      ],
    )
  })

  test('serves concurrent calls of next() in order, each with another key', async () => {
    const keys = listing(1200).list[Symbol.asyncIterator]()
    const results = await Promise.all(Array.from({ length: 1202 }, () => keys.next()))
    const texts = results.map(({ value }) => value?.keyText)
    assert.deepEqual(texts.slice(0, 1200), [...new Set(texts)].slice(0, 1200).sort())
    assert.deepEqual(
      results.slice(1199).map(({ done }) => done),
      [false, true, true],
    )
    assert.deepEqual(await keys.return?.(), { value: undefined, done: true })
  })

  test('has no further keys after return()', async () => {
    const keys = listing(10).list[Symbol.asyncIterator]()
    assert.equal((await keys.next()).done, false)
    await keys.return?.()
    assert.deepEqual(await keys.next(), { value: undefined, done: true })
  })

  test('has no further keys after return(), although next() was waiting for a page', async () => {
    const keys = listing(10, {}, () => turn()).list[Symbol.asyncIterator]()
    const first = keys.next()
    await new Promise((resolve) => process.nextTick(resolve))
    await keys.return?.()
    assert.equal((await first).done, false)
    assert.deepEqual(await keys.next(), { value: undefined, done: true })
  })

  test('cancels the page that is read ahead when the loop ends, whatever the reason', async () => {
    const leave: ((list: Listing) => Promise<unknown>)[] = [
      async (list) => {
        for await (const _ of list) break
      },
      async (list) => {
        for await (const _ of list.pages()) throw new Error('left')
      },
      async (list) => {
        const pages = list.pages()
        await pages.next()
        await pages.return()
      },
    ]
    for (const way of leave) {
      const { asked, list } = listing(5000, {}, (index) => index === 1 && new Promise(() => {}))
      await way(list).catch(() => {})
      assert.deepEqual([asked.length, asked[1]?.signal?.aborted], [2, true])
    }
  })

  test('does not report the failure of a page that is never consumed', async () => {
    const { list } = listing(5000, {}, (index) => index === 1 && Promise.reject(new Error('unseen')))
    for await (const _ of list) break
    await turn()
  })

  test('removes its listener from the signal when it ends', async () => {
    const controller = new AbortController()
    const { signal } = controller
    let listeners = 0
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = (...args: unknown[]) => {
      listeners += 1
      Reflect.apply(addEventListener, signal, args)
    }
    signal.removeEventListener = (...args: unknown[]) => {
      listeners -= 1
      Reflect.apply(removeEventListener, signal, args)
    }
    await collect(listing(10, { signal }).list)
    assert.equal(listeners, 0)
  })

  test('restarts from the beginning each time its revision is compacted', async () => {
    let restarts = 0
    const compacted = new Set([1, 3])
    const options = { onCompacted: 'restart', onRestart: () => (restarts += 1), maxPageSize: 1000 } as const
    const { asked, list } = listing(2500, options, (index) => {
      if (compacted.has(index)) throw new EtcdError('compacted', { code: 'COMPACTED', effect: 'none' })
    })
    await collect(list)
    assert.equal(restarts, 2)
    assert.deepEqual(
      asked.map(({ cursor }) => cursor !== undefined),
      [false, true, false, true, false, true, true],
    )
  })

  test('as an array has each key once, also after a restart', async () => {
    let restarts = 0
    const { list } = listing(1200, { onCompacted: 'restart', onRestart: () => (restarts += 1) }, (index) => {
      if (index === 1) throw new EtcdError('compacted', { code: 'COMPACTED', effect: 'none' })
    })
    assert.equal((await list.toArray()).length, 1200)
    assert.equal(restarts, 1)
  })

  test('reads its first key at its position, or at the current revision if that one is compacted', async () => {
    const cursor = cursorAfter(range, { kvs: [keyValue(3)], more: true, revision: 5 })
    for (const position of [{ revision: 5 }, { cursor }]) {
      for (const onCompacted of ['restart', 'throw'] as const) {
        const { asked, list } = listing(10, { ...position, onCompacted }, (index) => {
          if (index === 0) throw new EtcdError('compacted', { code: 'COMPACTED', effect: 'none' })
        })
        if (onCompacted === 'throw') await assert.rejects(list.first(), { code: 'COMPACTED' })
        else assert.equal((await list.first())?.keyText, keyValue(0).keyText)
        const positions = asked.map(({ limit, revision, cursor }) => ({ limit, revision, cursor }))
        const current = { limit: 1, revision: undefined, cursor: undefined }
        const expected = [{ ...current, ...position }, current]
        assert.deepEqual(positions, onCompacted === 'throw' ? expected.slice(0, 1) : expected)
      }
    }
  })

  test('does not restart for other errors', async () => {
    const options = { onCompacted: 'restart', onRestart: () => assert.fail('it has restarted') } as const
    const refuse = (): never => {
      throw new EtcdError('no', { code: 'PERMISSION_DENIED', effect: 'none' })
    }
    const { list } = listing(1200, options, (index) => index === 1 && refuse())
    await assert.rejects(collect(list), { code: 'PERMISSION_DENIED' })
    await assert.rejects(listing(1200, options, refuse).list.first(), { code: 'PERMISSION_DENIED' })
  })
})

describe('A listing from a member that streams', () => {
  const total = 5000
  const parts = [10, 20, 1000]

  /** A listing whose member streams; `plan` determines how a stream ends after a number of parts. */
  function streaming(
    options: ListOptions = {},
    plan: { readonly serves?: boolean; readonly endAfter?: number; readonly then?: () => Promise<never> } = {},
  ) {
    const asked: Asked[] = []
    const streams: { readonly request: RangeRequest; readonly signal: AbortSignal }[] = []
    const read: PageReader = async (_, pageOptions) => {
      asked.push(pageOptions)
      return page(pageOptions, firstOf(pageOptions.cursor), total, 100, 7)
    }
    const source: RangeStreams = {
      serves: () => plan.serves ?? true,
      async *read(request, _, signal) {
        streams.push({ request, signal })
        const start =
          Number(
            Buffer.from(request.key ?? [])
              .toString('latin1')
              .slice(1, 6),
          ) + 1
        for (let first = start, index = 0; first < total; index += 1) {
          if (index === plan.endAfter) {
            await plan.then?.()
            return
          }
          const size = Math.min(parts[index] ?? 1000, total - first)
          const kvs = Array.from({ length: size }, (_, offset) => keyValue(first + offset))
          first += size
          yield { kvs, count: 0, more: false, header: first === total ? header : undefined }
        }
      },
    }
    return { asked, streams, list: new Listing(read, range, options, source) }
  }

  const header = { clusterId: '1', memberId: '1', revision: 9, raftTerm: 1 }

  /** The number of the first key that a cursor asks for. */
  function firstOf(cursor: string | undefined): number {
    const { key } = rangeRequest(range, { cursor })
    return cursor === undefined
      ? 0
      : Number(
          Buffer.from(key ?? [])
            .toString('latin1')
            .slice(1, 6),
        ) + 1
  }

  const expected = Array.from({ length: total }, (_, index) => keyValue(index).keyText)

  test('reads all pages after the first one as one stream at its revision', async () => {
    const { asked, streams, list } = streaming({ keysOnly: true })
    const pages = await collect(list.pages())
    assert.deepEqual(
      pages.flatMap(({ kvs }) => kvs.map(({ keyText }) => keyText)),
      expected,
    )
    assert.equal(asked.length, 1)
    assert.equal(streams.length, 1)
    const { revision, keysOnly, serializable } = streams[0]?.request ?? {}
    assert.deepEqual({ revision, keysOnly, serializable }, { revision: 7, keysOnly: true, serializable: false })
    let left = total
    for (const { count, kvs, revision, cursor } of pages) {
      assert.deepEqual([count, revision, cursor === undefined], [left, 7, left === kvs.length])
      left -= kvs.length
    }
  })

  test('does not exceed the maximum page size', async () => {
    const pages = await collect(streaming({ maxPageSize: 300 }).list.pages())
    assert.deepEqual(
      pages.flatMap(({ kvs }) => kvs.map(({ keyText }) => keyText)),
      expected,
    )
    assert.ok(pages.every(({ kvs }) => kvs.length <= 300))
  })

  test('continues with single pages if the stream fails, ends early, or is refused', async () => {
    const broken = (): Promise<never> =>
      Promise.reject(new EtcdError('gone', { code: 'CONNECTION_LOST', effect: 'none' }))
    for (const [endAfter, then] of [
      [0, broken],
      [2, broken],
      [3, undefined],
    ] as const) {
      const { asked, streams, list } = streaming({}, { endAfter, ...(then === undefined ? {} : { then }) })
      assert.deepEqual(
        (await collect(list)).map(({ keyText }) => keyText),
        expected,
      )
      assert.ok(asked.length > 1)
      assert.ok(streams.length >= 1)
    }
  })

  test('gives up a silent stream', async () => {
    const { asked, streams, list } = streaming({ timeoutMs: 20 }, { endAfter: 1, then: () => new Promise(() => {}) })
    assert.deepEqual(
      (await collect(list)).map(({ keyText }) => keyText),
      expected,
    )
    assert.ok(asked.length > 1)
    assert.ok(streams.every(({ signal }) => signal.aborted))
  })

  test('reads single pages from a member without streams', async () => {
    const { streams, list } = streaming({}, { serves: false })
    assert.deepEqual(
      (await collect(list)).map(({ keyText }) => keyText),
      expected,
    )
    assert.equal(streams.length, 0)
  })

  test('ends the stream when the loop ends', async () => {
    const { streams, list } = streaming()
    let count = 0
    for await (const _ of list) if (++count === 700) break
    await turn()
    assert.deepEqual(
      streams.map(({ signal }) => signal.aborted),
      [true],
    )
  })
})
