import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bytes, type Etcd, type EtcdError, get, isEtcdError, key, put } from '../../src/index.js'
import { useClient, useCluster } from '../support/cluster.js'
import { collect, createClient, uniquePrefix } from '../support/fixtures.js'

const transports = ['http2', 'grpc-js'] as const
/** etcd's default of `--max-request-bytes`. */
const defaultBytes = 1_572_864
const raisedBytes = 8 * 1024 * 1024
/** What a put of a short key and its proposal add to the value, at most. */
const proposalBytes = 200

/** The error of a call that must fail, and must not have had an effect. */
async function refusal(call: Promise<unknown>): Promise<EtcdError> {
  const error: unknown = await call.then(
    () => assert.fail('the call succeeded'),
    (reason: unknown) => reason,
  )
  assert.ok(isEtcdError(error), String(error))
  assert.equal(error.effect, 'none')
  return error
}

/** A value with which the put of this key is a request of this size: key and value have a tag each, and their length. */
function valueFor(name: string, size: number): Buffer {
  return Buffer.alloc(size - 2 - Buffer.byteLength(name) - 1 - lengthBytes(size), 'v')
}

/** Seven bits of a length fit into a byte. */
function lengthBytes(length: number): number {
  return Math.ceil(Math.log2(length) / 7)
}

function puts(prefix: string, count: number) {
  return Array.from({ length: count }, (_, index) => put(`${prefix}${index}`, ''))
}

for (const transport of transports) {
  describe(`Over ${transport}, members with the default limits`, () => {
    const cluster = useCluster()
    const etcd = useClient(cluster, { transport })
    const raised = useClient(cluster, { transport, maxRequestBytes: 16 * 1024 * 1024, maxTxnOps: 1000 })

    test('accept a request just under 1.5 MiB, and return it in reads, transactions and watches', async () => {
      const prefix = uniquePrefix()
      const value = Buffer.alloc(defaultBytes - proposalBytes, 'v')
      await using watcher = etcd.watch({ prefix })
      await watcher.ready()
      const { revision } = await etcd.put(`${prefix}a`, value)
      assert.deepEqual((await etcd.get(`${prefix}a`))?.value, value)
      const { responses } = await etcd
        .txn()
        .then(get(`${prefix}a`))
        .commit()
      assert.deepEqual(responses[0]?.value, value)
      for await (const event of watcher) {
        assert.equal(event.revision, revision)
        assert.deepEqual(event.kv.value, value)
        break
      }
    })

    test('refuse a request of exactly 1.5 MiB, which is larger as a proposal', async () => {
      const name = `${uniquePrefix()}a`
      const error = await refusal(etcd.put(name, valueFor(name, defaultBytes)))
      assert.equal(error.code, 'REQUEST_TOO_LARGE')
      assert.notEqual(error.endpoint, undefined, 'the client let it pass')
      assert.equal(await etcd.get(name), undefined)
    })

    test('get no request of one byte more: the client refuses it', async () => {
      const error = await refusal(etcd.put('large', valueFor('large', defaultBytes + 1)))
      assert.equal(error.code, 'REQUEST_TOO_LARGE')
      assert.equal(error.endpoint, undefined)
    })

    test('refuse a request over their limit from a client with a higher one, by etcd and by gRPC', async () => {
      const name = `${uniquePrefix()}a`
      for (const [size, code] of [
        [defaultBytes + 40, 'REQUEST_TOO_LARGE'],
        [3_000_000, 'MESSAGE_TOO_LARGE'],
        [12_000_000, 'MESSAGE_TOO_LARGE'],
      ] as const) {
        assert.equal((await refusal(raised.put(name, Buffer.alloc(size, 'v')))).code, code, `${size} bytes`)
      }
      await raised.put(name, 'small')
      assert.equal((await raised.get(name))?.version, 1)
    })

    test('accept 128 operations in a transaction and refuse 129, wherever they are', async () => {
      const prefix = uniquePrefix()
      const { succeeded } = await etcd
        .txn()
        .then(...puts(prefix, 128))
        .commit()
      assert.ok(succeeded)
      const many = puts(`${prefix}no/`, 129)
      const compares = many.map((_, index) => key(`${prefix}${index}`).exists())
      for (const client of [etcd, raised]) {
        for (const txn of [client.txn().then(...many), client.txn().else(...many), client.txn().if(...compares)]) {
          const error = await refusal(txn.commit())
          assert.equal(error.code, 'TOO_MANY_OPS')
          assert.equal(error.endpoint === undefined, client === etcd, 'only the raised limit lets it reach a member')
        }
      }
      assert.equal((await etcd.range({ prefix: `${prefix}no/` })).count, 0)
    })

    test('have keys of 1 byte to 1 MiB', async () => {
      const lengths = [1, 2, 127, 128, 16_383, 16_384, 65_536, 1_048_576]
      for (const length of lengths) {
        const name = Buffer.alloc(length, 'k')
        const { revision } = await etcd.put(name, String(length))
        const read = await etcd.get(name)
        assert.deepEqual(read?.key, name)
        assert.equal(read.modRevision, revision)
      }
      const listed = await collect(etcd.list({ prefix: 'k' }, { maxPageSize: 3 }))
      assert.deepEqual(
        listed.map((kv) => kv.key.length),
        lengths,
      )
      assert.equal((await etcd.deleteRange({ prefix: 'k' })).deleted, lengths.length)
    })

    test('have every byte in keys and values', async () => {
      await everyByte(etcd)
    })
  })

  describe(`Over ${transport}, members with raised limits`, () => {
    const cluster = useCluster({ flags: { 'max-request-bytes': raisedBytes, 'max-txn-ops': 256 } })
    const etcd = useClient(cluster, { transport, maxRequestBytes: raisedBytes, maxTxnOps: 256, timeoutMs: 30_000 })

    test('accept requests up to 8 MiB, and return them in reads and watches', async () => {
      const prefix = uniquePrefix()
      const value = Buffer.alloc(raisedBytes - proposalBytes, 'v')
      await using watcher = etcd.watch({ prefix })
      await watcher.ready()
      await etcd.put(`${prefix}a`, value)
      assert.ok((await etcd.get(`${prefix}a`))?.value.equals(value))
      for await (const event of watcher) {
        assert.ok(event.kv.value.equals(value))
        break
      }
      const atServer = await refusal(etcd.put(`${prefix}b`, valueFor(`${prefix}b`, raisedBytes)))
      const atClient = await refusal(etcd.put(`${prefix}b`, valueFor(`${prefix}b`, raisedBytes + 1)))
      assert.deepEqual([atServer.code, atClient.code], ['REQUEST_TOO_LARGE', 'REQUEST_TOO_LARGE'])
      assert.deepEqual([atServer.endpoint === undefined, atClient.endpoint === undefined], [false, true])
    })

    test('are not used by a client without the option', async (t) => {
      const usual = createClient(t, cluster, { transport })
      assert.equal((await refusal(usual.put('large', Buffer.alloc(2_000_000)))).code, 'REQUEST_TOO_LARGE')
    })

    test('accept 256 operations in a transaction and refuse 257', async (t) => {
      const prefix = uniquePrefix()
      const { responses } = await etcd
        .txn()
        .then(...puts(prefix, 256))
        .commit()
      assert.equal(responses.length, 256)
      const higher = createClient(t, cluster, { transport, maxTxnOps: 1000 })
      for (const client of [etcd, higher]) {
        const error = await refusal(
          client
            .txn()
            .then(...puts(`${prefix}no/`, 257))
            .commit(),
        )
        assert.equal(error.code, 'TOO_MANY_OPS')
      }
    })
  })
}

/** All one-byte keys below a prefix, and the ranges whose end is hardest to compute. */
async function everyByte(etcd: Etcd): Promise<void> {
  const prefix = Buffer.from(uniquePrefix())
  const keys = Array.from({ length: 256 }, (_, byte) => Buffer.concat([prefix, Buffer.of(byte)]))
  const deeper = [Buffer.of(255, 0), Buffer.of(255, 255), Buffer.of(255, 255, 255)]
  const all = [...keys, ...deeper.map((suffix) => Buffer.concat([prefix, suffix]))]
  await using watcher = etcd.watch({ prefix })
  await watcher.ready()
  await Promise.all(all.map((name) => etcd.put(name, name)))
  const listed = await collect(etcd.list({ prefix }, { maxPageSize: 50 }))
  assert.deepEqual(
    listed.map((kv) => kv.key),
    all,
  )
  assert.ok(listed.every((kv) => kv.value.equals(kv.key)))
  const seen = new Set<string>()
  for await (const event of watcher) {
    assert.deepEqual(event.kv.value, event.kv.key)
    seen.add(event.kv.key.toString('hex'))
    if (seen.size === all.length) break
  }
  for (const [end, count] of [
    [Buffer.of(254), 1],
    [Buffer.of(255), 4],
    [Buffer.of(255, 255), 2],
  ] as const) {
    const under = { prefix: Buffer.concat([prefix, end]) }
    assert.equal((await etcd.range(under)).count, count)
    await using informer = etcd.informer(under, { codec: bytes })
    await informer.ready()
    assert.equal(informer.stats().size, count)
  }
  await topOfTheKeySpace(etcd)
  assert.equal((await etcd.deleteRange({ prefix })).deleted, all.length)
}

/** A prefix of bytes 0xff has no end: its range goes to the end of the key space. */
async function topOfTheKeySpace(etcd: Etcd): Promise<void> {
  const names = [Buffer.of(255), Buffer.of(255, 255), Buffer.of(255, 255, 255, 1)]
  for (const name of names) await etcd.put(name, 'top')
  assert.equal((await etcd.range({ prefix: Buffer.of(255) })).count, 3)
  const inside = etcd.namespace(Buffer.of(255, 255))
  assert.deepEqual(
    (await inside.range({ prefix: '' })).kvs.map((kv) => kv.key),
    [Buffer.of(255, 1)],
    'the key that is the prefix of the namespace has no name in it',
  )
  assert.equal((await etcd.deleteRange({ prefix: Buffer.of(255) })).deleted, 3)
}

describe('1,000 namespaces of one client', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)
  const spaces = Array.from({ length: 1000 }, (_, index) => `space-${index}/`)

  test('keep their keys and watches apart, on one stream', async () => {
    const watchers = spaces.map((name) => etcd.namespace(name).watch({ prefix: '' }))
    await Promise.all(watchers.map((watcher) => watcher.ready()))
    assert.equal(await cluster.metric('etcd_debugging_mvcc_watch_stream_total'), 1)
    await Promise.all(
      spaces.map(async (name, index) => {
        const space = etcd.namespace(name)
        await space.put('key', name)
        assert.equal((await space.get('key'))?.valueText, name)
        for await (const { keyText, valueText } of watchers[index] ?? []) {
          assert.deepEqual([keyText, valueText], ['key', name])
          break
        }
      }),
    )
    assert.equal((await etcd.range({ prefix: 'space-' })).count, 1000)
    const { deleted } = await etcd.namespace('space-1').deleteRange({ prefix: '/' })
    assert.equal(deleted, 1, 'not those of space-10/')
  })
})
