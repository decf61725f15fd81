import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { EtcdError } from '../../src/core/errors.js'
import { KeyValue } from '../../src/core/key-value.js'
import { cursorAfter, type FetchedPage, Listing, type ListOptions, type PageReader } from '../../src/kv/listing.js'
import type { RangeOptions } from '../../src/kv/requests.js'
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
  const info = { endpoint: 'e', memberId: 'm', mode: 'linearizable', stale: false } as const
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
  test('reads nothing until it is iterated over', async () => {
    const { asked, list } = listing(10)
    list.pages()
    await turn()
    assert.equal(asked.length, 0)
  })

  test('asks with its own options for every page, and for its revision only in the first', async () => {
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

  test('cancels the page that is being read ahead when the loop is left, in whatever way', async () => {
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

  test('does not report the failure of a page that nobody comes to', async () => {
    const { list } = listing(5000, {}, (index) => index === 1 && Promise.reject(new Error('unseen')))
    for await (const _ of list) break
    await turn()
  })

  test('takes its listener off the signal when it ends', async () => {
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

  test('restarts as often as its revision is compacted, and each time from the beginning', async () => {
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

  test('does not restart for other errors', async () => {
    const { list } = listing(1200, { onCompacted: 'restart' }, (index) => {
      if (index === 1) throw new EtcdError('no', { code: 'PERMISSION_DENIED', effect: 'none' })
    })
    await assert.rejects(collect(list), { code: 'PERMISSION_DENIED' })
  })
})
