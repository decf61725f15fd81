import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { Etcd, KeyValue, type KeyValueJson, WatchEvent, type Watcher } from '../../src/index.js'
import { useClient, useCluster } from '../support/cluster.js'

const notText = Buffer.from([0xff, 0x00, 0x01])

function keyValue(fields: Partial<Omit<KeyValue, 'keyText' | 'valueText'>>): KeyValue {
  return Object.assign(new KeyValue(), { createRevision: 3, modRevision: 7, version: 2 }, fields)
}

/** The bytes of a field in JSON, as the documentation says. */
function bytesOf({ key, keyBase64 = '' }: KeyValueJson): Buffer {
  return key === undefined ? Buffer.from(keyBase64, 'base64') : Buffer.from(key)
}

describe('`console.log()` and JSON', () => {
  test('show keys and values as text', () => {
    const kv = keyValue({ key: Buffer.from('config/port'), value: Buffer.from('8080'), lease: 'ab12' })
    assert.equal(
      inspect(kv, { breakLength: 120 }),
      "KeyValue { key: 'config/port', value: '8080', modRevision: 7, version: 2, lease: 'ab12' }",
    )
    assert.deepEqual(JSON.parse(JSON.stringify(kv)), {
      key: 'config/port',
      value: '8080',
      createRevision: 3,
      modRevision: 7,
      version: 2,
      lease: 'ab12',
    })
    assert.equal(inspect({ a: { b: { c: kv } } }), '{ a: { b: { c: [KeyValue] } } }')
  })

  test('show bytes that are not UTF-8 in hexadecimal, and in base64 in JSON, without a loss', () => {
    const kv = keyValue({ key: notText, value: notText })
    assert.match(inspect(kv), /key: <ff0001>,\s+value: <ff0001>/)
    const read: KeyValueJson = JSON.parse(JSON.stringify(kv))
    assert.deepEqual([read.key, read.value, read.valueBase64], [undefined, undefined, '/wAB'])
    assert.deepEqual(bytesOf(read), notText)
  })

  test('truncate long values when they are printed, and never in JSON', () => {
    const text = '\u{1f600}'.repeat(100_000)
    const kv = keyValue({ key: Buffer.from('k'), value: Buffer.from(text) })
    assert.match(inspect(kv), /… \(400000 bytes\)'/)
    assert.ok(inspect(kv).length < 1000)
    assert.equal(kv.toJSON().value, text)
    assert.ok(inspect(keyValue({ value: Buffer.alloc(100_000, 0xff) })).length < 1000)
  })

  test('show an event as its change', () => {
    const kv = keyValue({ key: Buffer.from('a'), value: Buffer.from('2') })
    const prevKv = keyValue({ key: Buffer.from('a'), value: Buffer.from('1'), modRevision: 3, version: 1 })
    const event = new WatchEvent('put', kv, prevKv)
    assert.equal(inspect(event), "WatchEvent { type: 'put', key: 'a', value: '2', prevValue: '1', revision: 7 }")
    const { type, revision, kv: now, prevKv: before } = JSON.parse(JSON.stringify(event))
    assert.deepEqual([type, revision, now.value, before.value], ['put', 7, '2', '1'])
    assert.equal(
      inspect(new WatchEvent('delete', keyValue({ key: notText }), undefined)),
      "WatchEvent { type: 'delete', key: <ff0001>, revision: 7 }",
    )
  })

  test('show no secrets of a client', () => {
    const [password, key] = ['hush-hush', '-----BEGIN PRIVATE KEY-----\nhush-hush\n-----END PRIVATE KEY-----']
    const cert = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'
    for (const options of [
      { endpoints: 'https://127.0.0.1:1', auth: { username: 'app', password } },
      { endpoints: 'https://127.0.0.1:1', auth: { token: password } },
      { endpoints: 'https://127.0.0.1:1', tls: { cert, key } },
    ]) {
      const etcd = trying(() => new Etcd(options))
      const shown = [etcd, etcd instanceof Etcd ? [etcd.auth, etcd.lease, etcd.namespace('x/'), etcd.stats()] : []]
        .flatMap((value) => [
          inspect(value, { depth: null, showHidden: true, getters: true }),
          inspect(value, { depth: null, showHidden: true, getters: true, customInspect: false }),
          JSON.stringify(value),
        ])
        .join('\n')
      assert.ok(!/hush/.test(shown.replaceAll(/at .*\n/g, '')), shown)
    }
  })
})

/** The result of `make`, or what it throws: an error shows no secrets either. */
function trying<T>(make: () => T): T | Error {
  try {
    return make()
  } catch (error) {
    return error instanceof Error ? error : assert.fail()
  }
}

describe('`console.log()` on a cluster', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)

  test('shows clients, watches, informers, leases, locks and elections in a few fields', async () => {
    const client = new Etcd({ endpoints: cluster.endpoints })
    try {
      await client.put('print/a', '1')
      const endpoint = cluster.endpoints[0] ?? ''
      const wide = (value: unknown): string => inspect(value, { breakLength: Number.POSITIVE_INFINITY })
      assert.match(
        wide(client),
        new RegExp(`^Etcd { endpoints: \\[ '${endpoint} ready( leader)?' \\], revision: \\d+ }$`),
      )
      assert.equal(wide(client.namespace('print/')), "Keyspace { prefix: 'print/' }")
      assert.equal(wide(client.list({ from: 'a', to: 'b' })), "Listing { from: 'a', to: 'b' }")
      const watcher: Watcher = client.watch({ prefix: 'print/' })
      await watcher.ready()
      assert.match(
        wide(watcher),
        /^Watcher { prefix: 'print\/', state: 'active', endpoint: '.*', revision: \d+, lag: 0, /,
      )
      const informer = client.informer({ prefix: 'print/' })
      await informer.ready()
      assert.match(
        wide(informer),
        /^Informer { prefix: 'print\/', state: 'watching', endpoint: '.*', size: 1, revision: \d+ }$/,
      )
      const value = client.value('print/a')
      await value.ready()
      assert.match(wide(value), /^ValueInformer { key: 'print\/a', current: '1', revision: \d+, state: 'watching' }$/)
      const lock = await client.lock('print/lock')
      assert.match(
        wide(lock),
        /^LockHandle { name: 'print\/lock', keyText: 'print\/lock\/[0-9a-f]+', fence: \d+, isHeld: true }$/,
      )
      const election = client.election('print/election')
      assert.equal(wide(election), "Election { name: 'print/election' }")
      const leadership = await election.campaign('me')
      assert.match(
        wide(leadership),
        /^Leadership { keyText: 'print\/election\/[0-9a-f]+', fence: \d+, isLeader: true }$/,
      )
      const lease = await client.lease.grant(30)
      assert.match(wide(lease), /^Lease { id: '[0-9a-f]+', state: 'active', ttlSeconds: 30 }$/)
      for (const each of [client, watcher, informer, value, lock, leadership, lease]) JSON.parse(JSON.stringify(each))
      const stats = client.stats()
      // `undefined` fields are left out of JSON.
      assert.deepEqual(JSON.parse(JSON.stringify(stats)), structuredClone(withoutUndefined(stats)))
    } finally {
      await client.close()
    }
    assert.match(inspect(client), /closed: true/)
  })

  test('arrays and maps of a listing have each key, and `first()` reads one', async () => {
    const names = Array.from({ length: 1200 }, (_, index) => `all/${String(index).padStart(4, '0')}`)
    await Promise.all(names.map((name) => etcd.put(name, name)))
    const listing = etcd.list({ prefix: 'all/' })
    const kvs = await listing.toArray()
    assert.deepEqual(
      kvs.map(({ valueText }) => valueText),
      names,
    )
    const map = await listing.toMap()
    assert.deepEqual([map.size, map.get('all/0007')?.valueText], [1200, 'all/0007'])
    assert.equal((await listing.first())?.keyText, 'all/0000')
    assert.equal(await etcd.list({ prefix: 'none/' }).first(), undefined)
    assert.deepEqual(await etcd.list({ prefix: 'none/' }).toArray(), [])
    assert.equal((await etcd.list({ prefix: 'all/' }, { keysOnly: true }).first())?.valueText, '')
    await etcd.put(Buffer.concat([Buffer.from('all/'), notText]), '')
    await assert.rejects(etcd.list({ prefix: 'all/' }).toMap(), { code: 'DECODE_FAILED' })
  })
})

function withoutUndefined(value: object): object {
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, field]) => {
      if (field === undefined) return []
      if (Array.isArray(field)) return [[name, field.map((each) => withoutUndefined(each))]]
      return [[name, typeof field === 'object' && field !== null ? withoutUndefined(field) : field]]
    }),
  )
}
