import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import {
  bytes,
  type Codec,
  CompactedError,
  type Comparison,
  deleteKey,
  deleteRange,
  Etcd,
  get,
  isEtcdError,
  json,
  type Keyspace,
  key,
  keys,
  put,
  range,
  text,
  txn,
} from '../../src/index.js'
import { useCluster } from '../support/cluster.js'
import { collect, createClient, uniquePrefix } from '../support/fixtures.js'

describe('Keys and values', () => {
  const cluster = useCluster()

  /** A client, and a prefix that no other test uses. */
  function own(t: TestContext): Keyspace {
    return createClient(t, cluster).namespace(uniquePrefix())
  }

  /** Four keys whose values are their names. */
  async function fourKeys(t: TestContext): Promise<Keyspace> {
    const kv = own(t)
    for (const name of ['foo1', 'foo2', 'foo3', 'baz']) await kv.put(name, `${name} value`)
    return kv
  }

  async function namesIn(kv: Keyspace): Promise<string[]> {
    return (await kv.range({ prefix: '' })).kvs.map(({ keyText }) => keyText)
  }

  async function grantLease(ttlSeconds = 60): Promise<string> {
    const { ID } = await cluster.call('/v3/lease/grant', { TTL: ttlSeconds })
    return BigInt(String(ID)).toString(16)
  }

  async function revokeLease(lease: string): Promise<void> {
    await cluster.call('/v3/lease/revoke', { ID: BigInt(`0x${lease}`).toString() })
  }

  test('a range over everything returns exactly the existing keys, with their values', async (t) => {
    const kv = await fourKeys(t)
    const { kvs, count, more } = await kv.range({ prefix: '' })
    assert.deepEqual(
      kvs.map(({ keyText, valueText }) => [keyText, valueText]),
      ['baz', 'foo1', 'foo2', 'foo3'].map((name) => [name, `${name} value`]),
    )
    assert.deepEqual({ count, more }, { count: 4, more: false })
  })

  test('a missing key is undefined, not an error', async (t) => {
    assert.equal(await own(t).get('missing'), undefined)
  })

  test('exists() reports whether a key exists', async (t) => {
    const kv = await fourKeys(t)
    assert.deepEqual([await kv.exists('foo1'), await kv.exists('foo')], [true, false])
  })

  test('a prefix read returns only the keys with that prefix', async (t) => {
    const kv = await fourKeys(t)
    const { kvs } = await kv.range({ prefix: 'fo' })
    assert.deepEqual(
      kvs.map(({ keyText }) => keyText),
      ['foo1', 'foo2', 'foo3'],
    )
  })

  test('ranges have a start and an end, an open end, or one key', async (t) => {
    const kv = await fourKeys(t)
    const names = async (...args: Parameters<Keyspace['range']>) =>
      (await kv.range(...args)).kvs.map(({ keyText }) => keyText)
    assert.deepEqual(await names({ from: 'c', to: 'foo3' }), ['foo1', 'foo2'])
    assert.deepEqual(await names({ from: 'foo2' }), ['foo2', 'foo3'])
    assert.deepEqual(await names({ key: 'foo2' }), ['foo2'])
    assert.deepEqual(await names('foo2'), ['foo2'])
    assert.deepEqual(await names({ from: '', to: 'c' }), ['baz'])
  })

  test('keysOnly returns names, and no values are transferred', async (t) => {
    const kv = own(t)
    await kv.put('large', 'x'.repeat(100_000))
    const before = await sentBytes()
    const { kvs } = await kv.range({ prefix: '' }, { keysOnly: true })
    assert.deepEqual(
      kvs.map(({ keyText, value }) => [keyText, value.length]),
      [['large', 0]],
    )
    assert.equal((await kv.get('large', { keysOnly: true }))?.value.length, 0)
    assert.equal(await kv.count({ prefix: '' }), 1)
    assert.ok((await sentBytes()) - before < 20_000, 'the values were sent all the same')
  })

  function sentBytes(): Promise<number> {
    return cluster.metric('etcd_network_client_grpc_sent_bytes_total')
  }

  test('count() counts a range', async (t) => {
    const kv = await fourKeys(t)
    assert.equal(await kv.count({ prefix: '' }), 4)
    assert.equal(await kv.count({ prefix: 'foo' }), 3)
    assert.equal(await kv.count({ prefix: 'none' }), 0)
  })

  test('a range sorts descending with a limit, and numeric names keep their order', async (t) => {
    const kv = await fourKeys(t)
    const descending = { sort: { target: 'key', order: 'descend' } } as const
    const names = async (prefix: string, limit: number) =>
      (await kv.range({ prefix }, { ...descending, limit })).kvs.map(({ keyText }) => keyText)
    assert.deepEqual(await names('foo', 2), ['foo3', 'foo2'])
    const numbered = kv.namespace('numbers/')
    for (const name of ['2', '10', '9']) await numbered.put(name, name)
    const { kvs } = await numbered.range({ prefix: '' }, descending)
    assert.deepEqual(
      kvs.map(({ keyText }) => keyText),
      ['9', '2', '10'],
    )
  })

  test('a range sorts by every target', async (t) => {
    const kv = own(t)
    await kv.put('a', '3')
    await kv.put('b', '1')
    await kv.put('c', '2')
    await kv.put('a', '3')
    const orders = { key: 'abc', version: 'bca', createRevision: 'abc', modRevision: 'bca', value: 'bca' } as const
    for (const [target, order] of Object.entries(orders)) {
      const sort = { target: target as keyof typeof orders }
      const { kvs } = await kv.range({ prefix: '' }, { sort })
      assert.equal(kvs.map(({ keyText }) => keyText).join(''), order, target)
    }
  })

  test('a range filters by revisions and reads the past', async (t) => {
    const kv = own(t)
    const a = await kv.put('a', '1')
    const b = await kv.put('b', '1')
    const changed = await kv.put('a', '2')
    const names = async (...args: Parameters<Keyspace['range']>) =>
      (await kv.range(...args)).kvs.map(({ keyText, valueText }) => keyText + valueText)
    const all = { prefix: '' }
    assert.deepEqual(await names(all, { minModRevision: changed.revision }), ['a2'])
    assert.deepEqual(await names(all, { maxModRevision: b.revision }), ['b1'])
    assert.deepEqual(await names(all, { minCreateRevision: b.revision }), ['b1'])
    assert.deepEqual(await names(all, { maxCreateRevision: a.revision }), ['a2'])
    assert.deepEqual(await names(all, { revision: a.revision }), ['a1'])
    assert.equal((await kv.get('a', { revision: b.revision }))?.valueText, '1')
    assert.equal(await kv.exists('b', { revision: a.revision }), false)
    assert.equal(await kv.count(all, { revision: a.revision }), 1)
  })

  test('deleteRange() of a prefix keeps other keys, and its count is a number', async (t) => {
    const kv = await fourKeys(t)
    const { deleted, prevKvs } = await kv.deleteRange({ prefix: 'foo' })
    assert.deepEqual({ deleted, prevKvs }, { deleted: 3, prevKvs: [] })
    assert.deepEqual(await namesIn(kv), ['baz'])
  })

  test('delete() with prevKv returns the deleted key and value', async (t) => {
    const kv = await fourKeys(t)
    const { prevKvs } = await kv.deleteRange({ prefix: 'foo' }, { prevKv: true })
    assert.deepEqual(
      prevKvs.map(({ keyText, valueText }) => [keyText, valueText]),
      ['foo1', 'foo2', 'foo3'].map((name) => [name, `${name} value`]),
    )
    const one = await kv.delete('baz', { prevKv: true })
    assert.equal(one.prevKvs[0]?.valueText, 'baz value')
    const none = await kv.delete('baz', { prevKv: true })
    assert.deepEqual([none.deleted, none.prevKvs], [0, []])
  })

  test('put() with prevKv returns the old value, and undefined for a new key', async (t) => {
    const kv = own(t)
    assert.equal((await kv.put('a', '1', { prevKv: true })).prevKv, undefined)
    const { prevKv } = await kv.put('a', '2', { prevKv: true })
    assert.deepEqual([prevKv?.keyText, prevKv?.valueText], ['a', '1'])
    assert.equal((await kv.put('a', '3')).prevKv, undefined)
  })

  test('touch() raises the revision and keeps the value', async (t) => {
    const kv = own(t)
    const { revision } = await kv.put('a', '1')
    const touched = await kv.touch('a')
    const now = await kv.get('a')
    assert.ok(touched.revision > revision)
    assert.deepEqual([now?.modRevision, now?.valueText, now?.version], [touched.revision, '1', 2])
    await assert.rejects(kv.touch('missing'), { code: 'KEY_NOT_FOUND', effect: 'none' })
  })

  test('keys that are not UTF-8, or named __proto__, stay distinct', async (t) => {
    const kv = own(t)
    const names = [Buffer.from([0x80]), Buffer.from([0x81]), Buffer.from([0xff]), Buffer.from('__proto__')]
    for (const name of names) await kv.put(name, name)
    const { kvs } = await kv.range({ prefix: '' })
    assert.deepEqual(
      kvs.map(({ key }) => key.toString('hex')),
      names.map((name) => name.toString('hex')).sort(),
    )
    for (const { key, value } of kvs) assert.ok(key.equals(value))
    assert.throws(() => kvs.at(-1)?.keyText, { code: 'DECODE_FAILED' })
  })

  test('range() and list() return 10,000 keys of 1 KiB with default options', async (t) => {
    const kv = own(t)
    const value = Buffer.alloc(1024, 'x')
    const name = (index: number): string => String(index).padStart(5, '0')
    for (let first = 0; first < 10_000; first += 100) {
      const operations = Array.from({ length: 100 }, (_, index) => put(name(first + index), value))
      await kv
        .txn()
        .then(...operations)
        .commit()
    }
    const expected = Array.from({ length: 10_000 }, (_, index) => name(index))
    const other = kv.get(name(0))
    const { kvs } = await kv.range({ prefix: '' })
    assert.deepEqual(
      kvs.map(({ keyText }) => keyText),
      expected,
    )
    assert.ok(kvs.every((kv) => kv.value.equals(value)))
    const listed = await collect(kv.list({ prefix: '' }))
    assert.deepEqual(
      listed.map(({ keyText }) => keyText),
      expected,
    )
    assert.equal((await other)?.keyText, name(0))
  })

  test('a call that is not awaited is still sent', async (t) => {
    const etcd = createClient(t, cluster)
    const name = `${uniquePrefix()}a`
    void etcd.put(name, '1')
    const second = createClient(t, cluster)
    for (let tries = 0; tries < 500 && !(await second.exists(name)); tries += 1);
    assert.equal((await second.get(name))?.valueText, '1')
  })

  test('results report the member that answered and the revision', async (t) => {
    const kv = own(t)
    const { revision, endpoint, memberId, clusterId } = await kv.put('a', '1')
    const { memberId: expected } = cluster.members[0] ?? {}
    assert.deepEqual({ endpoint, memberId }, { endpoint: cluster.endpoints[0], memberId: expected })
    const status = await createClient(t, cluster).maintenance.status({ endpoint })
    assert.equal(clusterId, status.clusterId)
    assert.equal((await kv.get('a'))?.modRevision, revision)
    assert.equal((await kv.range('a')).revision, revision)
  })

  describe('Transactions', () => {
    test('run then() when the comparisons hold and else() otherwise, with results of all kinds in order', async (t) => {
      const kv = own(t)
      await kv.put('a', '1')
      await kv.put('b/1', 'x')
      const step = kv
        .txn()
        .if(key('a').value.equals('1'))
        .then(put('a', '2', { prevKv: true }), get('a'), range({ prefix: 'b/' }), deleteKey('b/1', { prevKv: true }))
        .else(get('a'), deleteRange({ prefix: 'b/' }))
      const first = await step.commit()
      assert.ok(first.succeeded)
      const [written, read, ranged, deleted] = first.responses
      assert.equal(written.prevKv?.valueText, '1')
      assert.deepEqual([read?.keyText, read?.valueText, read?.modRevision], ['a', '2', first.revision])
      assert.deepEqual([ranged.kvs[0]?.keyText, ranged.count, ranged.more], ['b/1', 1, false])
      assert.deepEqual([deleted.deleted, deleted.prevKvs[0]?.valueText], [1, 'x'])
      const second = await step.commit()
      assert.ok(!second.succeeded)
      assert.equal(second.responses[0]?.valueText, '2')
      assert.equal(second.responses[1].deleted, 0)
    })

    test('nest', async (t) => {
      const kv = own(t)
      const inner = txn().if(key('a').exists()).then(get('a')).else(put('a', 'inner'), get('a'))
      const outer = kv.txn().then(put('b', '1'), inner.asOperation(), get('b'))
      const first = await outer.commit()
      assert.ok(first.succeeded)
      const [, nested, b] = first.responses
      assert.ok(!nested.succeeded)
      assert.deepEqual(
        [nested.responses[1]?.keyText, nested.responses[1]?.valueText, b?.valueText],
        ['a', 'inner', '1'],
      )
      const second = await outer.commit()
      assert.ok(second.succeeded && second.responses[1].succeeded)
      assert.equal(second.responses[1].responses[0]?.valueText, 'inner')
    })

    test('compare every target of keys and ranges', async (t) => {
      const kv = own(t)
      const lease = await grantLease()
      const created = await kv.put('k/a', 'm', { lease })
      const { revision } = await kv.put('k/a', 'm', { lease })
      await kv.put('k/b', 'm')
      const a = key('k/a')
      const both = keys({ prefix: 'k/' })
      const cases: [string, Comparison, boolean][] = [
        ['version equals', a.version.equals(2), true],
        ['version notEquals', a.version.notEquals(2), false],
        ['version greater', a.version.greater(1), true],
        ['version less', a.version.less(2), false],
        ['createRevision', a.createRevision.equals(created.revision), true],
        ['modRevision', a.modRevision.equals(revision), true],
        ['modRevision of an older write', a.modRevision.equals(created.revision), false],
        ['value equals', a.value.equals('m'), true],
        ['value greater', a.value.greater('l'), true],
        ['value less', a.value.less('l'), false],
        ['value as bytes', a.value.equals(Buffer.from('m')), true],
        ['lease', a.lease.equals(lease), true],
        ['no lease', key('k/b').lease.equals('0'), true],
        ['exists', a.exists(), true],
        ['missing', a.missing(), false],
        ['range: holds for all', both.value.equals('m'), true],
        ['range: fails for one', both.version.equals(2), false],
        ['range: exists', both.exists(), true],
        ['range from to', keys({ from: 'k/a', to: 'k/b' }).version.equals(2), true],
        ['empty range is like a missing key', keys({ prefix: 'none/' }).missing(), true],
        ['empty range does not exist', keys({ prefix: 'none/' }).exists(), false],
        ['empty range: version 0', keys({ prefix: 'none/' }).version.equals(0), true],
        ['missing key: value equals', key('none').value.equals(''), false],
        ['missing key: value notEquals', key('none').value.notEquals('m'), false],
        ['missing key: modRevision', key('none').modRevision.equals(0), true],
        ['missing key: lease', key('none').lease.equals('0'), true],
      ]
      for (const [name, comparison, expected] of cases) {
        const { succeeded } = await kv.txn().if(comparison).then().commit()
        assert.equal(succeeded, expected, name)
      }
      assert.equal((await kv.txn().if(a.exists(), key('k/b').missing()).commit()).succeeded, false, 'all must hold')
      await revokeLease(lease)
    })

    test('reject when they are awaited instead of committed', { timeout: 5000 }, async (t) => {
      const kv = own(t)
      const bare = kv.txn().if(key('a').missing()).then(put('a', '1'))
      // TypeScript refuses to await what is no promise; JavaScript does it.
      const awaited = bare as unknown as PromiseLike<unknown>
      const expected = { code: 'TXN_NOT_COMMITTED', effect: 'none' }
      await assert.rejects(async () => await awaited, expected)
      await assert.rejects(async () => await (bare.else(get('a')) as unknown as PromiseLike<unknown>), expected)
      await assert.rejects(async () => await (kv.txn() as unknown as PromiseLike<unknown>), expected)
      await assert.rejects(Promise.resolve(awaited), expected)
      assert.equal(await kv.exists('a'), false)
    })

    test('consist of operations that reject when they are awaited', { timeout: 5000 }, async (t) => {
      const kv = own(t)
      const nested = kv.txn().then(put('a', '1')).asOperation()
      const operations = [
        put('a', '1'),
        get('a'),
        range({ prefix: 'a' }),
        deleteKey('a'),
        deleteRange({ prefix: 'a' }),
        nested,
      ]
      const comparisons = [key('a').exists(), key('a').value.equals('1'), keys({ prefix: 'a' }).version.less(2)]
      for (const part of [...operations, ...comparisons]) {
        const awaited: unknown = part
        await assert.rejects(async () => await awaited, { code: 'TXN_NOT_COMMITTED', effect: 'none' })
      }
      // @ts-expect-error: TypeScript refuses to await it
      await assert.rejects(async () => await put('a', '1'), /call a method of the client, such as etcd.put/)
      assert.equal(await kv.exists('a'), false)
    })

    test('succeed when they are empty', async (t) => {
      assert.deepEqual((await own(t).txn().commit()).responses, [])
    })
  })

  test('stats() reports the writes in flight, without a limit while the cluster keeps up', async (t) => {
    const etcd = createClient(t, cluster)
    const writing = Array.from({ length: 20 }, (_, index) => etcd.put(`writes/${index}`, ''))
    const reading = etcd.get('writes/0')
    assert.deepEqual(etcd.stats().writes, { limit: undefined, inFlight: 20, queued: 0 })
    await Promise.all([...writing, reading])
    assert.equal(etcd.stats().writes.inFlight, 0)
  })

  describe('Conditional writes', () => {
    test('putIf() writes at the expected revision only, and otherwise returns the current state', async (t) => {
      const kv = own(t)
      const created = await kv.putIf('a', '1', 0)
      assert.equal(created.succeeded, true)
      const again = await kv.putIf('a', '2', 0)
      assert.ok(!again.succeeded)
      assert.deepEqual([again.current?.valueText, again.current?.modRevision], ['1', created.revision])
      assert.equal((await kv.putIf('a', '2', created.revision)).succeeded, true)
      const gone = await kv.putIf('missing', '1', created.revision)
      assert.ok(!gone.succeeded)
      assert.equal(gone.current, undefined)
    })

    test('deleteIf() deletes at the expected revision only, and otherwise returns the current state', async (t) => {
      const kv = own(t)
      const { revision } = await kv.put('a', '1')
      const refused = await kv.deleteIf('a', revision - 1)
      assert.ok(!refused.succeeded)
      assert.equal(refused.current?.valueText, '1')
      assert.equal((await kv.deleteIf('a', revision)).succeeded, true)
      assert.equal(await kv.exists('a'), false)
    })

    test('30 concurrent increments by update() add exactly 30', async (t) => {
      const kv = own(t)
      const increment = () => kv.update('n', (current) => String(Number(current?.valueText ?? 0) + 1))
      const results = await Promise.all(Array.from({ length: 30 }, increment))
      assert.equal((await kv.get('n'))?.valueText, '30')
      assert.equal(new Set(results.map(({ revision }) => revision)).size, 30)
      assert.ok(results.every(({ changed }) => changed))
      assert.ok(results.some(({ attempts }) => attempts > 1))
    })

    test('update() stops waiting for its function at its deadline and when its signal aborts', async (t) => {
      const kv = own(t)
      const never = () => new Promise<never>(() => {})
      await assert.rejects(kv.update('a', never, { timeoutMs: 100 }), { code: 'DEADLINE_EXCEEDED', effect: 'none' })
      await assert.rejects(createClient(t, cluster, { timeoutMs: 200 }).update('a', never), {
        code: 'DEADLINE_EXCEEDED',
        effect: 'none',
      })
      const abort = new AbortController()
      const aborted = () => {
        abort.abort(new Error('enough'))
        return never()
      }
      await assert.rejects(kv.update('a', aborted, { signal: abort.signal }), /enough/)
      assert.equal(await kv.exists('a'), false)
    })

    test('update() deletes for null and keeps the value for undefined', async (t) => {
      const kv = own(t)
      const { revision } = await kv.put('a', '1')
      const left = await kv.update('a', async () => undefined)
      assert.deepEqual([left.changed, left.attempts], [false, 1])
      assert.equal((await kv.get('a'))?.modRevision, revision)
      assert.equal((await kv.update('a', () => null)).changed, true)
      assert.equal(await kv.exists('a'), false)
      assert.equal((await kv.update('a', () => null)).changed, false)
    })

    test('update() rejects with UPDATE_CONFLICT after maxAttempts, and with the error of its function', async (t) => {
      const kv = own(t)
      let calls = 0
      const defeated = kv.update(
        'a',
        async () => {
          calls += 1
          await kv.put('a', `other ${calls}`)
          return 'mine'
        },
        { maxAttempts: 3 },
      )
      await assert.rejects(defeated, { code: 'UPDATE_CONFLICT', effect: 'none' })
      assert.deepEqual([calls, (await kv.get('a'))?.valueText], [3, 'other 3'])
      const bug = new Error('bug')
      await assert.rejects(
        kv.update('a', () => {
          throw bug
        }),
        bug,
      )
    })
  })

  describe('Leases of keys', () => {
    test('are attached by put, shown by the key, kept by ignoreLease, and detached by a plain put', async (t) => {
      const kv = own(t)
      const lease = await grantLease()
      await kv.put('a', '1', { lease })
      assert.equal((await kv.get('a'))?.lease, lease)
      await kv.put('a', '2', { ignoreLease: true })
      assert.deepEqual([(await kv.get('a'))?.lease, (await kv.get('a'))?.valueText], [lease, '2'])
      await kv.touch('a', { ignoreLease: true })
      assert.equal((await kv.get('a'))?.lease, lease)
      await kv.put('a', '3')
      assert.equal((await kv.get('a'))?.lease, undefined)
      await revokeLease(lease)
      assert.equal((await kv.get('a'))?.valueText, '3')
    })

    test('delete their keys on expiry, whichever call attached them', async (t) => {
      const kv = own(t)
      const lease = await grantLease()
      await kv.put('put', '1', { lease })
      await kv
        .txn()
        .then(put('txn', '1', { lease }))
        .commit()
      await kv.putIf('putIf', '1', 0, { lease })
      await kv.update('update', () => '1', { lease })
      const { kvs } = await kv.range({ prefix: '' })
      assert.deepEqual(new Set(kvs.map((kv) => kv.lease)), new Set([lease]))
      await revokeLease(lease)
      assert.deepEqual(await namesIn(kv), [])
    })

    test('must exist, and ignoreLease needs an existing key', async (t) => {
      const kv = own(t)
      await assert.rejects(kv.put('a', '1', { lease: '1234' }), { code: 'LEASE_NOT_FOUND', effect: 'none' })
      await assert.rejects(kv.put('a', '1', { ignoreLease: true }), { code: 'KEY_NOT_FOUND', effect: 'none' })
    })
  })

  test('values decode by codec, and an undecodable value is DECODE_FAILED', async (t) => {
    const kv = own(t)
    const date: Codec<Date> = {
      encode: (value) => Buffer.from(value.toISOString()),
      decode: (source) => new Date(source.toString()),
    }
    const config = { port: 8080, hosts: ['ä'] }
    const day = new Date(0)
    await kv.put('json', json<typeof config>().encode(config))
    await kv.put('date', date.encode(day))
    await kv.put('bad', Buffer.from([0xff, 0xfe]))
    const [stored, bad] = [await kv.get('json'), await kv.get('bad')]
    assert.deepEqual(stored?.as(json<typeof config>()), config)
    assert.equal(stored?.as(text), JSON.stringify(config))
    assert.deepEqual((await kv.get('date'))?.as(date), day)
    assert.deepEqual(bad?.as(bytes), Buffer.from([0xff, 0xfe]))
    for (const read of [() => bad?.valueText, () => bad?.as(text), () => bad?.as(json())]) {
      assert.throws(read, { code: 'DECODE_FAILED', effect: 'none', rawMessage: /^the value of "bad": not valid UTF-8/ })
    }
    await kv.put('bad json', '{')
    const badJson = await kv.get('bad json')
    assert.throws(() => badJson?.as(json()), {
      code: 'DECODE_FAILED',
      rawMessage: 'the value of "bad json": not valid JSON',
    })
    assert.throws(() => stored && kvJson(stored.value.subarray(1)), { code: 'DECODE_FAILED' })
  })

  function kvJson(source: Buffer): unknown {
    return json().decode(source)
  }

  test('the namespace option, nested namespaces and a connection string use the same keys', async (t) => {
    const prefix = uniquePrefix()
    const plain = createClient(t, cluster)
    const outer = createClient(t, cluster, { namespace: prefix })
    const inner = outer.namespace('inner/')
    await inner.put('a', '1')
    assert.equal((await plain.get(`${prefix}inner/a`))?.valueText, '1')
    assert.deepEqual(
      (await outer.range({ prefix: '' })).kvs.map(({ keyText }) => keyText),
      ['inner/a'],
    )
    assert.deepEqual(
      (await inner.deleteRange({ prefix: '' }, { prevKv: true })).prevKvs.map(({ keyText }) => keyText),
      ['a'],
    )
    const { host } = new URL(cluster.endpoints[0] ?? '')
    await using etcd = new Etcd(`etcd://${host}/${prefix}`)
    await etcd.put('b', '2')
    assert.equal((await plain.get(`${prefix}b`))?.valueText, '2')
    assert.equal((await etcd.get('b'))?.keyText, 'b')
  })

  test('a namespace without a name is rejected', (t) => {
    assert.throws(() => createClient(t, cluster).namespace(''), { code: 'INVALID_ARGUMENT' })
  })

  // Last: it discards the history of all tests above.
  test('compact() discards the history: a read below it is a CompactedError, one at its revision succeeds', async (t) => {
    const kv = own(t)
    const first = await kv.put('a', '1')
    const second = await kv.put('a', '2')
    await kv.put('a', '3')
    await kv.compact(second.revision, { physical: true })
    await assert.rejects(kv.get('a', { revision: first.revision }), (error) => {
      assert.ok(error instanceof CompactedError)
      assert.ok(isEtcdError(error, 'COMPACTED'))
      assert.equal(error.effect, 'none')
      return true
    })
    assert.equal((await kv.get('a', { revision: second.revision }))?.valueText, '2')
    await assert.rejects(kv.compact(first.revision), { code: 'COMPACTED' })
    await assert.rejects(kv.compact(second.revision + 1_000_000), { code: 'FUTURE_REVISION' })
  })
})
