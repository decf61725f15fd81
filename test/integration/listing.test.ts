import assert from 'node:assert/strict'
import { before, describe, type TestContext, test } from 'node:test'
import { CompactedError, Etcd, isEtcdError, type Keyspace, type Page } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { memberAt, received } from '../support/cluster-view.js'
import { attemptRecords, collect, createClient, fill, numberedNames, uniquePrefix } from '../support/fixtures.js'
import { within } from '../support/slack.js'

const all = { prefix: '' }

describe('A listing', () => {
  const cluster = useCluster()
  /** Where 12,000 keys are that no test changes. */
  const shared = uniquePrefix()
  const names = numberedNames(12_000)

  before(async () => {
    await using etcd = new Etcd({ endpoints: cluster.endpoints })
    await fill(etcd.namespace(shared), names.length)
  })

  function sharedKeys(t: TestContext): Keyspace {
    return createClient(t, cluster).namespace(shared)
  }

  async function ownKeys(t: TestContext, count: number, value = 'value'): Promise<Keyspace> {
    const kv = createClient(t, cluster).namespace(uniquePrefix())
    await fill(kv, count, value)
    return kv
  }

  /** Whether pages after the first come as a stream. */
  function hasStreams(): boolean {
    return Number(cluster.version.split('.')[1]) >= 7
  }

  async function pause(t: TestContext): Promise<void> {
    await cluster.pause(0)
    t.after(() => cluster.resume(0))
  }

  test('returns exactly the keys of one revision, over many pages, during other writes and deletions', async (t) => {
    const prefix = uniquePrefix()
    const kv = createClient(t, cluster).namespace(prefix)
    const expected = await fill(kv, 10_000)
    const others = [createClient(t, cluster), createClient(t, cluster)].map((etcd) => etcd.namespace(prefix))
    let changes = 0
    let listed = false
    const change = async (other: Keyspace): Promise<void> => {
      while (!listed) {
        changes += 1
        const name = expected[(changes * 7919) % expected.length] ?? ''
        await other.put(`${name}/new`, 'new')
        await other.put(name, 'changed')
        await other.delete(expected[expected.length - changes] ?? '')
      }
    }
    const changing = others.map(change)
    const pages: Page[] = []
    for await (const page of kv.list(all, { maxPageSize: 500 }).pages()) {
      pages.push(page)
      while (changes < 4 * pages.length) await kv.exists('a moment of the consumer')
    }
    listed = true
    await Promise.all(changing)

    assert.equal(new Set(pages.map(({ revision }) => revision)).size, 1)
    const atThatRevision = await kv.range(all, { revision: pages[0]?.revision ?? 0 })
    const shown = (kvs: Page['kvs']) =>
      kvs.map(({ keyText, valueText, modRevision }) => [keyText, valueText, modRevision])
    assert.deepEqual(shown(pages.flatMap(({ kvs }) => kvs)), shown(atThatRevision.kvs))
    assert.ok(pages.length >= 20 && changes > 20, `${pages.length} pages, ${changes} changes`)
    assert.deepEqual([pages[0]?.count, pages.at(-1)?.count], [atThatRevision.count, pages.at(-1)?.kvs.length])
    assert.notEqual(await kv.count(all), atThatRevision.count)
  })

  test('begins with 500 keys a page, and doubles that up to maxPageSize', async (t) => {
    const kv = sharedKeys(t)
    const sizes = async (maxPageSize?: number) =>
      (await collect(kv.list(all, { maxPageSize }).pages())).map(({ kvs }) => kvs.length)
    assert.deepEqual(await sizes(), [500, 1000, 2000, 4000, 4500])
    assert.deepEqual(await sizes(3000), [500, 1000, 2000, 3000, 3000, 2500])
    assert.deepEqual(await sizes(400), new Array(30).fill(400))
  })

  test('counts the remaining keys', async (t) => {
    const pages = await collect(sharedKeys(t).list(all).pages())
    assert.deepEqual(
      pages.map(({ count }) => count),
      [12_000, 11_500, 10_500, 8500, 4500],
    )
  })

  test('makes its pages smaller for large values', async (t) => {
    const kv = createClient(t, cluster).namespace(uniquePrefix())
    await fill(kv, 80, Buffer.alloc(128 * 1024))
    const pages = await collect(kv.list(all, { maxPageSize: 40 }).pages())
    assert.deepEqual(
      pages.map(({ kvs }) => kvs.length),
      [40, 15, 15, 10],
    )
  })

  test('lists part of a range, without values, and at an earlier revision', async (t) => {
    const kv = await ownKeys(t, 20)
    const { revision } = await kv.put('000001', 'changed')
    await kv.deleteRange({ from: '000005', to: '000010' })
    const now = await collect(kv.list({ from: '000003', to: '000012' }, { keysOnly: true }))
    assert.deepEqual(
      now.map(({ keyText, value }) => [keyText, value.length]),
      ['000003', '000004', '000010', '000011'].map((name) => [name, 0]),
    )
    const then = await collect(kv.list(all, { revision, maxPageSize: 7 }))
    assert.deepEqual(
      then.map(({ keyText, valueText }) => keyText + valueText),
      numberedNames(20).map((name) => name + (name === '000001' ? 'changed' : 'value')),
    )
  })

  test('reads the range again in each iteration', async (t) => {
    const kv = await ownKeys(t, 3)
    const listing = kv.list(all)
    assert.equal((await collect(listing)).length, 3)
    await kv.put('more', '')
    assert.equal((await collect(listing)).length, 4)
  })

  test('resumes from a cursor in another client, at the same revision, after a JSON round trip', async (t) => {
    const prefix = uniquePrefix()
    const kv = createClient(t, cluster).namespace(prefix)
    await fill(kv, 1000)
    const listing = kv.list(all, { maxPageSize: 300 }).pages()
    const seen: Page[] = []
    for await (const page of listing) if (seen.push(page) === 2) break
    const stored = JSON.parse(JSON.stringify({ cursor: seen[1]?.cursor }))
    await kv.deleteRange(all)

    const other = createClient(t, cluster).namespace(prefix)
    const rest = await collect(other.list(all, { cursor: stored.cursor }).pages())
    const pages = [...seen, ...rest]
    assert.deepEqual(
      pages.flatMap(({ kvs }) => kvs.map(({ keyText }) => keyText)),
      numberedNames(1000),
    )
    assert.equal(new Set(pages.map(({ revision }) => revision)).size, 1)
    assert.equal(pages.at(-1)?.cursor, undefined)
  })

  test('resumes where a range() with a limit ended; a sorted range has no cursor', async (t) => {
    const kv = sharedKeys(t)
    const { kvs, cursor, more } = await kv.range(all, { limit: 11_990 })
    assert.deepEqual([kvs.length, more], [11_990, true])
    const rest = await collect(kv.list(all, { cursor }))
    assert.deepEqual(
      rest.map(({ keyText }) => keyText),
      names.slice(11_990),
    )
    const sorted = await kv.range(all, { limit: 2, sort: { target: 'modRevision' } })
    assert.deepEqual([sorted.more, sorted.cursor], [true, undefined])
  })

  test('rejects a corrupt cursor or one of another range, with nothing sent', async (t) => {
    const kv = sharedKeys(t)
    const { cursor = '' } = await kv.range(all, { limit: 1 })
    const records = attemptRecords(t)
    const forged = (fields: unknown) => Buffer.from(JSON.stringify(fields)).toString('base64url')
    const end = Buffer.from([0]).toString('base64url')
    const cases: [string, typeof all, unknown][] = [
      ['of another range', { prefix: '0' }, cursor],
      ['cut off', all, cursor.slice(0, -5)],
      ['empty', all, ''],
      ['no cursor at all', all, '000001'],
      ['no string', all, 5],
      ['of a later format', all, forged([2, 1, end, end, end])],
      ['at revision 0', all, forged([1, 0, end, end, end])],
      ['at a fractional revision', all, forged([1, 1.5, end, end, end])],
      ['before its range', { prefix: 'b' }, forged([1, 5, 'Yg', 'Yw', 'YQ'])],
      ['behind its range', { prefix: 'b' }, forged([1, 5, 'Yg', 'Yw', 'Yw'])],
    ]
    for (const [what, range, value] of cases) {
      const wrong = { cursor: value as string }
      const expected = { code: 'INVALID_CURSOR', effect: 'none' }
      await assert.rejects(async () => collect(kv.list(range, wrong)), expected, `list: ${what}`)
      await assert.rejects(kv.range(range, wrong), expected, `range: ${what}`)
    }
    assert.throws(() => kv.list(all, { cursor, revision: 1 }), { code: 'INVALID_ARGUMENT' })
    assert.deepEqual(records, [])
  })

  test('reads at most one page ahead of the consumer', async (t) => {
    const kv = sharedKeys(t)
    const member = memberAt(cluster, 0)
    await collect(kv.list(all)) // until it is known whether the member has streams
    const before = await received(member, 'Range')
    const readSoFar = async () => (await received(member, 'Range')) - before
    let page = 0
    for await (const _ of kv.list(all, { maxPageSize: 2000 }).pages()) {
      page += 1
      const expected = hasStreams() ? 1 : Math.min(page + 1, 8)
      await poll('the next page is asked for', async () => (await readSoFar()) >= expected || undefined)
      for (let moments = 0; moments < 5; moments += 1) await kv.put('moment', '')
      assert.equal(await readSoFar(), expected)
    }
    assert.equal(page, 8)
    await kv.delete('moment')
  })

  test('is one stream after its first page if the member supports it', async (t) => {
    const large = await ownKeys(t, 2000, 'v'.repeat(20_000))
    const member = memberAt(cluster, 0)
    const before = await Promise.all([received(member, 'RangeStream'), received(member, 'Range')])
    let count = 0
    for await (const page of large.list(all, { maxPageSize: 50 }).pages()) {
      count += page.kvs.length
    }
    assert.equal(count, 2000)
    await collect(large.list(all, { maxPageSize: 50 }))
    const streams = (await received(member, 'RangeStream')) - before[0]
    const pages = (await received(member, 'Range')) - before[1]
    assert.deepEqual([streams, pages], hasStreams() ? [2, 2] : [0, 80])
  })

  test('leaves nothing in flight when the loop is left early', async (t) => {
    const etcd = createClient(t, cluster)
    const records = attemptRecords(t)
    for await (const _ of etcd.namespace(shared).list(all)) break
    assert.equal(etcd.endpoints()[0]?.inFlight, 0)
    for (let moments = 0; moments < 5; moments += 1) await etcd.put('moment', '')
    assert.ok(records.filter(({ method }) => method === 'KV.Range').length <= 2)
  })

  test('rejects with the reason of its signal before, between and during pages', async (t) => {
    const etcd = createClient(t, cluster)
    const kv = etcd.namespace(shared)
    const reason = new Error('enough')
    await assert.rejects(collect(kv.list(all, { signal: AbortSignal.abort(reason) })), reason)

    const between = new AbortController()
    let keys = 0
    await assert.rejects(async () => {
      for await (const _ of kv.list(all, { signal: between.signal })) {
        keys += 1
        between.abort(reason)
      }
    }, reason)
    assert.equal(keys, 500, 'the page that was there is given to its end')

    const awaited = new AbortController()
    await pause(t)
    const listing = collect(kv.list(all, { signal: awaited.signal }))
    setTimeout(() => awaited.abort(reason), 50)
    const startedAt = performance.now()
    await assert.rejects(listing, reason)
    assert.ok(performance.now() - startedAt < within(300))
    assert.equal(etcd.endpoints()[0]?.inFlight, 0)
  })

  test('applies timeoutMs to each page', async (t) => {
    // Too large for a stream to run far ahead of its consumer.
    const kv = await ownKeys(t, 400, 'v'.repeat(20_000))
    const pages = kv.list(all, { maxPageSize: 10, timeoutMs: 400 }).pages()
    await pages.next()
    await pages.next()
    await pause(t)
    const startedAt = performance.now()
    // The page that was read ahead is there already.
    await assert.rejects(collect(pages), { code: 'DEADLINE_EXCEEDED' })
    assert.ok(performance.now() - startedAt < within(900))
  })

  test('fails with a CompactedError when its revision is compacted between pages', async (t) => {
    // Too large for a stream to run far ahead of its consumer.
    const kv = await ownKeys(t, 1000, 'v'.repeat(20_000))
    let seen = 0
    const listing = async () => {
      for await (const page of kv.list(all, { maxPageSize: 100 }).pages()) {
        if (seen === 0) await compactNow(kv)
        seen += page.kvs.length
      }
    }
    await assert.rejects(listing(), (error) => {
      assert.ok(error instanceof CompactedError && isEtcdError(error, 'COMPACTED'))
      assert.equal(error.effect, 'none')
      assert.match(error.stack ?? '', /listing\.test/)
      return true
    })
    assert.ok(seen >= 100 && seen < 1000, `${seen} keys were seen`)
  })

  test("restarts at the current revision with `onCompacted: 'restart'`, and reports it", async (t) => {
    const kv = await ownKeys(t, 1000, 'v'.repeat(20_000))
    let restarts = 0
    let keys: string[] = []
    const revisions = new Set<number>()
    const onRestart = (): void => {
      restarts += 1
      keys = []
    }
    for await (const page of kv.list(all, { maxPageSize: 100, onCompacted: 'restart', onRestart }).pages()) {
      if (revisions.size === 0) await compactNow(kv)
      keys.push(...page.kvs.map(({ keyText }) => keyText))
      revisions.add(page.revision)
    }
    assert.deepEqual([restarts, revisions.size], [1, 2])
    assert.deepEqual(keys, [...numberedNames(1000), 'later'])
  })

  async function compactNow(kv: Keyspace): Promise<void> {
    const { revision } = await kv.put('later', '')
    await kv.compact(revision)
  }

  test('is recommended by range() without a limit when there are too many keys or bytes', async (t) => {
    const kv = await ownKeys(t, 50)
    const prefix = uniquePrefix()
    const small = createClient(t, cluster, { maxRangeKeys: 49, maxRangeBytes: 5000, namespace: prefix })
    await fill(small, 49, 'x'.repeat(100))
    assert.equal(await small.count(all), 49)
    const size = { code: 'RANGE_TOO_LARGE', effect: 'none' }
    await assert.rejects(small.range(all), { ...size, message: /bytes, over maxRangeBytes = 5000: read it with list/ })
    assert.equal((await small.range(all, { keysOnly: true })).kvs.length, 49)
    assert.equal((await small.range(all, { limit: 49 })).kvs.length, 49)
    await small.put('one more', '')
    const tooMany = { ...size, message: /holds 50 keys, over maxRangeKeys = 49/ }
    await assert.rejects(small.range(all, { keysOnly: true }), tooMany)
    assert.equal((await collect(small.list(all))).length, 50)
    assert.equal((await kv.range(all)).kvs.length, 50)
  })
})
