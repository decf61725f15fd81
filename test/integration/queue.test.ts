import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClaimUnknownError, isEtcdError } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { startCluster, useClient, useCluster } from '../support/cluster.js'
import { loseAnswerTo, proxyAt, storedKeys } from '../support/cluster-view.js'
import { attemptRecords, createClient, uniquePrefix } from '../support/fixtures.js'

describe('A queue', () => {
  const cluster = useCluster({ members: 3 })
  const etcd = useClient(cluster)
  const other = useClient(cluster)

  const someName = () => `${uniquePrefix()}queue`
  const watchers = () => cluster.metric('etcd_debugging_mvcc_watcher_total')

  test('delivers its items first in, first out, to earlier and later consumers', async () => {
    const name = someName()
    const queue = etcd.queue(name)
    const { keyText, revision } = await queue.enqueue('1')
    assert.match(keyText, new RegExp(`^${name}/\\d{19}$`))
    assert.equal((await etcd.get(keyText))?.modRevision, revision)
    for (const value of ['2', '3']) await queue.enqueue(value)
    assert.equal(await queue.size(), 3)
    const taken = [await other.queue(name).dequeue(), await queue.dequeue(), await queue.dequeue()]
    assert.deepEqual(
      taken.map(({ valueText }) => valueText),
      ['1', '2', '3'],
    )
    const waiting = [queue.dequeue(), queue.dequeue()]
    await poll('they wait', async () => (await watchers()) >= 1 || undefined)
    await other.queue(name).enqueue('4')
    await other.queue(name).enqueue('5')
    assert.deepEqual(
      (await Promise.all(waiting)).map(({ valueText }) => valueText),
      ['4', '5'],
    )
    assert.equal(await queue.size(), 0)
  })

  test('delivers each item to one consumer, over many producers and consumers', async (t) => {
    const name = someName()
    const clients = [etcd, other, createClient(t, cluster)]
    const queues = clients.map((client) => client.queue(name))
    const consuming = queues.flatMap((queue) =>
      Array.from({ length: 4 }, async () => {
        const texts: string[] = []
        for (let count = 0; count < 5; count += 1) texts.push((await queue.dequeue({ timeoutMs: 30_000 })).valueText)
        return texts
      }),
    )
    const produced = Array.from({ length: 60 }, (_, index) => String(index))
    await Promise.all(produced.map((value, index) => queues[index % 3]?.enqueue(value)))
    const consumed = (await Promise.all(consuming)).flat()
    assert.deepEqual(
      consumed.map(Number).sort((a, b) => a - b),
      produced.map(Number),
    )
    assert.deepEqual(await storedKeys(cluster, `${name}/`), [])
  })

  test('sends one request for all waiting consumers of a process', async (t) => {
    const name = someName()
    const queue = etcd.queue(name)
    const records = attemptRecords(t)
    const abort = new AbortController()
    const waiting = Array.from({ length: 20 }, () => queue.dequeue({ signal: abort.signal }))
    const settled = Promise.allSettled(waiting)
    await poll('they wait', async () => (await watchers()) >= 1 || undefined)
    await other.put(`${name}/1700000000000000000`, 'item')
    assert.equal((await Promise.race(waiting)).valueText, 'item')
    await poll('the next one waits', () => records.length >= 4 || undefined)
    // Two readings and a claim of the first, a reading of the second, and the put.
    assert.ok(records.length <= 6, `${records.length} calls`)
    abort.abort(new Error('no longer'))
    const outcomes = await settled
    assert.equal(outcomes.filter(({ status }) => status === 'rejected').length, 19)
    await poll('nobody watches', async () => (await watchers()) === 0 || undefined)
  })

  test('lets a consumer give up without delaying the others', async () => {
    const name = someName()
    const queue = etcd.queue(name)
    const isTooLate = (error: unknown) => isEtcdError(error, 'DEADLINE_EXCEEDED') && error.effect === 'none'
    const first = assert.rejects(queue.dequeue({ timeoutMs: 100 }), isTooLate)
    const second = assert.rejects(queue.dequeue({ signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' })
    const third = queue.dequeue()
    await second
    await first
    await queue.enqueue('late')
    assert.equal((await third).valueText, 'late')
  })

  test('reports an item that was taken without an answer', async (t) => {
    const single = await startCluster(t, { proxy: true })
    const client = createClient(t, single)
    const queue = client.queue('jobs')
    const { keyText } = await queue.enqueue('1')
    await queue.enqueue('2')
    loseAnswerTo(proxyAt(single, 0), keyText)
    await assert.rejects(queue.dequeue(), (error) => {
      assert.ok(error instanceof ClaimUnknownError && isEtcdError(error, 'CLAIM_UNKNOWN'))
      assert.deepEqual([error.effect, error.item.valueText], ['unknown', '1'])
      return true
    })
    const rest = [(await queue.dequeue()).valueText]
    if (rest[0] === '1') rest.push((await queue.dequeue()).valueText)
    assert.equal(rest.at(-1), '2')
  })

  test('gives an item whose removal never arrived to the next consumer of the process', async (t) => {
    const single = await startCluster(t, { proxy: true })
    const queue = createClient(t, single).queue('jobs')
    const { keyText } = await queue.enqueue('1')
    let lost = 0
    proxyAt(single, 0).onData((bytes, { direction }) => {
      if (direction !== 'up' || !bytes.includes(keyText) || lost > 0) return undefined
      lost += 1
      return 'reset'
    })
    const [first, second] = [queue.dequeue(), queue.dequeue({ timeoutMs: 20_000 })]
    await assert.rejects(first, ClaimUnknownError)
    assert.equal((await second).valueText, '1')
  })

  test('reports such an item also when the answer is lost after the deadline of the consumer', async (t) => {
    const single = await startCluster(t, { proxy: true })
    const client = createClient(t, single)
    const queue = client.queue('jobs')
    const { keyText } = await queue.enqueue('1')
    const proxy = proxyAt(single, 0)
    proxy.onData((bytes, { direction }) => {
      if (direction === 'up' && bytes.includes(keyText)) proxy.blackhole('down')
      return undefined
    })
    const dequeued = queue.dequeue({ timeoutMs: 100 })
    await poll('the item is gone', async () => (await storedKeys(single, 'jobs/')).length === 0 || undefined)
    setTimeout(() => proxy.cut(), 200)
    await assert.rejects(dequeued, (error) => error instanceof ClaimUnknownError && error.item.valueText === '1')
  })

  test('with priorities delivers the lowest number first, and uses the keys of clientv3', async () => {
    const name = someName()
    const queue = etcd.priorityQueue(name)
    const { keyText } = await queue.enqueue('later', 10)
    assert.equal(keyText, `${name}/00010/0000000000000000`)
    await Promise.all(['a', 'b', 'c', 'd'].map((value) => other.priorityQueue(name).enqueue(value, 9)))
    const { keyText: last } = await queue.enqueue('e', 9)
    assert.equal(last, `${name}/00009/0000000000000004`)
    assert.equal((await storedKeys(cluster, `__${name}/`)).length, 2)
    await queue.enqueue('now', 0)
    const texts: string[] = []
    for (let count = await queue.size(); count > 0; count -= 1) texts.push((await queue.dequeue()).valueText)
    assert.equal(texts[0], 'now')
    assert.deepEqual(texts.slice(1, 5).sort(), ['a', 'b', 'c', 'd'])
    assert.deepEqual(texts.slice(5), ['e', 'later'])
    const waiting = queue.dequeue()
    await other.priorityQueue(name).enqueue('last', 65_535)
    assert.equal((await waiting).valueText, 'last')
    await assert.rejects(queue.enqueue('x', 65_536), /`priority` must be an integer from 0 to 65535, got 65536/)
  })
})
