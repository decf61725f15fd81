import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { deleteKey, get, key, put, range } from '../../src/index.js'
import { poll } from '../../src/testing/poll.js'
import { useClient, useCluster, useProxy } from '../support/cluster.js'
import { uniquePrefix } from '../support/fixtures.js'

/** A buffer that its owner uses for something else as soon as `use` has returned. */
function reused<T>(text: string, use: (bytes: Buffer) => T): T {
  const bytes = Buffer.from(text)
  const used = use(bytes)
  bytes.fill('X')
  return used
}

describe('A buffer that is reused as soon as a call has returned', () => {
  const cluster = useCluster({ proxy: true })
  const etcd = useClient(cluster)
  const proxy = useProxy(cluster)

  async function valuesBelow(prefix: string): Promise<[string, string][]> {
    const { kvs } = await etcd.range({ prefix })
    return kvs.map(({ keyText, valueText }) => [keyText.slice(prefix.length), valueText])
  }

  test('does not change the key or the value of a write', async () => {
    const at = uniquePrefix()
    const write = (name: string, call: (key: Buffer, value: Buffer) => Promise<unknown>): Promise<unknown> =>
      reused(`${at}${name}`, (key) => reused(name, (value) => call(key, value)))
    await write('put', (key, value) => etcd.put(key, value))
    await write('ttl', (key, value) => etcd.put(key, value, { ttlSeconds: 60 }))
    await write('putIf', (key, value) => etcd.putIf(key, value, 0))
    await write('grouped', (key, value) => etcd.batcher().put(key, value))
    await write('update', (key) => etcd.update(key, () => 'update'))
    const registration = await reused(`${at}service`, (key) => reused('service', (value) => etcd.register(key, value)))
    await etcd.delete(`${at}service`)
    const expected = ['grouped', 'put', 'putIf', 'service', 'ttl', 'update'].map((name) => [name, name])
    await poll('the registration is restored', () => etcd.get(`${at}service`))
    assert.deepEqual(await valuesBelow(at), expected)
    await registration.close()
  })

  test('does not change the items of a queue', async () => {
    const [queue, urgent] = [etcd.queue(uniquePrefix()), etcd.priorityQueue(uniquePrefix())]
    await reused('first', (value) => queue.enqueue(value))
    await reused('second', (value) => urgent.enqueue(value, 1))
    assert.equal((await queue.dequeue()).valueText, 'first')
    assert.equal((await urgent.dequeue()).valueText, 'second')
  })

  test('does not change a transaction', async () => {
    const at = uniquePrefix()
    const bytes = Buffer.alloc(1)
    const puts = ['a', 'b', 'c'].map((name) => {
      bytes.write(name)
      return put(`${at}${name}`, bytes)
    })
    await etcd
      .txn()
      .then(...puts)
      .commit()
    assert.deepEqual(await valuesBelow(at), [
      ['a', 'a'],
      ['b', 'b'],
      ['c', 'c'],
    ])
    const isA = reused(`${at}a`, (name) => reused('a', (value) => key(name).value.equals(value)))
    const operations = [reused(`${at}a`, (name) => get(name)), reused(at, (prefix) => range({ prefix }))] as const
    const { succeeded, responses } = await etcd
      .txn()
      .if(isA)
      .then(
        ...operations,
        reused(`${at}b`, (name) => deleteKey(name)),
      )
      .commit()
    assert.ok(succeeded)
    assert.equal(responses[0]?.valueText, 'a')
    assert.equal(responses[1].count, 3)
    assert.equal(responses[2].deleted, 1)
  })

  test('does not change a software transaction', async () => {
    const at = uniquePrefix()
    await etcd.put(`${at}a`, 'a')
    const { value } = await etcd.stm(async (tx) => {
      for (const name of ['b', 'c']) reused(`${at}${name}`, (key) => reused(name, (bytes) => tx.put(key, bytes)))
      return reused(`${at}a`, (key) => tx.get(key))
    })
    assert.equal(value?.valueText, 'a')
    assert.deepEqual(await valuesBelow(at), [
      ['a', 'a'],
      ['b', 'b'],
      ['c', 'c'],
    ])
  })

  test('does not change the range of a listing or of an informer', async () => {
    const at = uniquePrefix()
    await etcd
      .txn()
      .then(...Array.from({ length: 20 }, (_, index) => put(`${at}${index}`, '')))
      .commit()
    const listing = reused(at, (prefix) => etcd.list({ prefix }, { maxPageSize: 5 }))
    assert.equal((await listing.toArray()).length, 20)
    await using informer = reused(at, (prefix) => etcd.informer({ prefix }))
    await informer.ready()
    proxy.cut()
    await etcd.get(at)
    const { revision } = await etcd.put(`${at}20`, '')
    await informer.waitForRevision(revision)
    assert.equal(informer.size, 21)
  })

  test('does not change the range of a watch, which resumes after a lost connection', async () => {
    const at = uniquePrefix()
    await using one = reused(`${at}a`, (key) => etcd.watch(key))
    await using many = reused(`${at}`, (prefix) => etcd.watch([{ prefix }, { key: `${at}a` }]))
    await Promise.all([one.ready(), many.ready()])
    proxy.cut()
    await etcd.get(at)
    await etcd.put(`${at}a`, 'after')
    for (const watcher of [one, many]) {
      for await (const { valueText } of watcher) {
        assert.equal(valueText, 'after')
        break
      }
    }
  })
})
