import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import {
  Etcd3 as Client,
  type Etcd3,
  EtcdRoleExistsError,
  EtcdRoleNotFoundError,
  EtcdUserNotFoundError,
  GRPCOutOfRangeError,
  GRPCUnavailableError,
  type ICallable,
  Isolation,
  isRecoverableError,
  Permission,
  Range,
  SortOrder,
  STMConflictError,
} from '../../src/etcd3/index.js'
import { isEtcdError } from '../../src/index.js'
import { useCluster } from '../support/cluster.js'
import { uniquePrefix } from '../support/fixtures.js'
import { createEtcd3 } from './client.js'

describe('etcdkit/etcd3: keys and values', () => {
  const cluster = useCluster()

  async function space(t: TestContext): Promise<ReturnType<Etcd3['namespace']>> {
    const client = createEtcd3(t, cluster)
    const keys = client.namespace(uniquePrefix())
    await Promise.all([
      // The first key after the namespace.
      client.put(Range.prefix(keys.prefix).end).value('outside'),
      keys.put('foo1').value('bar1'),
      keys.put('foo2').value(2),
      keys.put('foo3').value('{"a":1}'),
      keys.put('baz').value(Buffer.from('bar5')),
    ])
    return keys
  }

  test('`get()` gives text, bytes, numbers and JSON, and null for a missing key', async (t) => {
    const keys = await space(t)
    assert.equal(await keys.get('foo1'), 'bar1')
    assert.equal(await keys.get('foo1').string('hex'), '62617231')
    assert.deepEqual(await keys.get('baz').buffer(), Buffer.from('bar5'))
    assert.equal(await keys.get('foo2').number(), 2)
    assert.deepEqual(await keys.get('foo3').json(), { a: 1 })
    assert.equal(await keys.get('none'), null)
    assert.equal(await keys.get('none').json(), null)
    assert.deepEqual([await keys.get('foo1').exists(), await keys.get('none').exists()], [true, false])
  })

  test('`getAll()` gives an object, keys or a count, of a prefix or a range, sorted and limited', async (t) => {
    const keys = await space(t)
    assert.deepEqual(await keys.getAll().prefix('foo'), { foo1: 'bar1', foo2: '2', foo3: '{"a":1}' })
    assert.deepEqual(await keys.getAll().inRange({ start: 'foo1', end: 'foo3' }).keys(), ['foo1', 'foo2'])
    assert.deepEqual(await keys.getAll().prefix('foo').sort('Key', 'Descend').limit(2).keys(), ['foo3', 'foo2'])
    assert.equal(await keys.getAll().count(), 4)
    assert.deepEqual(await keys.getAll().inRange('baz').buffers(), { baz: Buffer.from('bar5') })
    assert.throws(() => keys.getAll().sort('Wrong' as 'Key', 'None'), /Unexpected "Wrong" in sort order/)
  })

  test('`getAll()` keeps a key named `__proto__`', async (t) => {
    const keys = await space(t)
    await keys.put('__proto__').value('x')
    assert.equal(Object.hasOwn(await keys.getAll(), '__proto__'), true)
  })

  test('integers and IDs of answers are decimal text', async (t) => {
    const keys = await space(t)
    const { header, kvs, count, more } = await keys.get('foo1').exec()
    const [kv] = kvs
    assert.deepEqual([kv?.version, kv?.lease, count, more], ['1', '0', '1', false])
    assert.match(`${header.revision} ${header.member_id} ${header.raft_term} ${kv?.mod_revision}`, /^\d+ \d+ \d+ \d+$/)
    assert.equal((await keys.put('none').value('')).prev_kv, null)
  })

  test('`delete()` and `put()` give what there was before', async (t) => {
    const keys = await space(t)
    assert.deepEqual(
      (await keys.delete().key('foo1').getPrevious()).map(({ value }) => value.toString()),
      ['bar1'],
    )
    assert.equal((await keys.delete().prefix('foo')).deleted, '2')
    assert.equal((await keys.put('baz').value('6').getPrevious()).value.toString(), 'bar5')
    await keys.put('baz').touch()
    assert.equal(await keys.get('baz'), '6')
  })

  test('a transaction runs one of its branches, and sends what `commit()` is called for', async (t) => {
    const keys = await space(t)
    const result = await keys
      .if('foo1', 'Value', '==', 'bar1')
      .and('foo2', 'Version', '>', 5)
      .then(keys.put('foo1').value('no'))
      .else(keys.put('foo1').value('yes'), keys.get('foo1'))
      .commit()
    assert.equal(result.succeeded, false)
    const [, read] = result.responses
    assert.deepEqual(Object.keys(read ?? {}), ['response_range', 'response'])
    assert.deepEqual(Object.entries(read ?? {})[1], ['response', 'response_range'])
    assert.equal(read?.response_range.kvs[0]?.value.toString(), 'yes')
    assert.deepEqual((await keys.if('foo1', 'Create', '>', '0').commit()).responses, [])
    await assert.rejects(async () => await (keys.if('a', 'Create', '==', 0) as unknown as Promise<void>), /call commit/)
  })

  test('a software transaction reads one key and writes another that is newer, at its first attempt', async (t) => {
    const keys = await space(t)
    await keys.put('old').value('1')
    await keys.put('new').value('1')
    let runs = 0
    await keys.stm({ retries: 0 }).transact(async (tx) => {
      runs += 1
      assert.equal(await tx.get('old').exists(), true)
      await tx.put('new').value(`${await tx.get('old')}${await tx.get('new')}`)
    })
    assert.deepEqual([runs, await keys.get('new')], [1, '11'])
  })

  test('a software transaction that only reads is run again when what it has read changes', async (t) => {
    const keys = await space(t)
    const read = (isolation: Isolation, retries: number) =>
      keys.stm({ isolation, retries }).transact(async (tx) => {
        const value = await tx.get('foo1')
        await keys.put('foo1').value(`${value}!`)
      })
    await assert.rejects(read(Isolation.Serializable, 1), STMConflictError)
    assert.equal(await keys.get('foo1'), 'bar1!!')
    await read(Isolation.ReadCommitted, 0)
  })

  test('a software transaction deletes a range, and refuses to after a read in a snapshot', async (t) => {
    const keys = await space(t)
    await keys.stm({ isolation: Isolation.RepeatableReads }).transact(async (tx) => {
      await tx.put('foo4').value('4')
      await tx.delete().prefix('foo')
      assert.equal(await tx.get('foo2'), null)
      await tx.put('foo3').value('3')
    })
    assert.deepEqual(await keys.getAll(), { baz: 'bar5', foo3: '3' })
    const snapshot = keys.stm().transact(async (tx) => {
      await tx.get('baz')
      await tx.delete().prefix('foo')
    })
    await assert.rejects(snapshot, /You cannot delete ranges/)
  })

  test('roles and users have errors by name, and a list of permissions is revoked', async (t) => {
    const client = createEtcd3(t, cluster)
    const role = await client.role('r').create()
    await assert.rejects(client.role('r').create(), EtcdRoleExistsError)
    await assert.rejects(client.role('none').delete(), EtcdRoleNotFoundError)
    await assert.rejects(client.user('none').delete(), EtcdUserNotFoundError)
    await role.grant([
      { permission: 'Read', range: client.range({ prefix: 'p' }) },
      { permission: 'Readwrite', key: 'k' },
    ])
    const permissions = await role.permissions()
    assert.deepEqual(permissions.map(({ permission }) => permission).sort(), ['Read', 'Readwrite'])
    await role.revoke(permissions)
    assert.deepEqual(await role.permissions(), [])
    await role.delete()
  })

  test('errors have the class of etcd3, its name, and the error of the engine as their cause', async (t) => {
    const client = createEtcd3(t, cluster)
    const error = await client
      .get('a')
      .revision(1e9)
      .exec()
      .catch((reason: Error) => reason)
    assert.ok(error instanceof GRPCOutOfRangeError)
    assert.equal(error.name, 'GRPCOutOfRangeError')
    assert.match(error.message, /^11 OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision$/)
    assert.ok(isEtcdError(error.cause, 'FUTURE_REVISION'))
  })

  test('a policy runs each call, and an error of a call that was not sent is recoverable', async (t) => {
    let runs = 0
    const global = {
      execute: <T>(fn: () => Promise<T>): Promise<T> => {
        runs += 1
        return fn()
      },
    }
    const client = createEtcd3(t, cluster, { hosts: '127.0.0.1:1', faultHandling: { global }, dialTimeout: 100 })
    const error = await client
      .put('a')
      .value('b')
      .exec()
      .catch((reason: Error) => reason)
    assert.ok(error instanceof GRPCUnavailableError)
    assert.deepEqual([isRecoverableError(error), runs], [true, 1])
  })

  test('`defaultCallOptions` are asked for each call, and options of grpc-js without a meaning are refused', async (t) => {
    const methods: string[] = []
    const client = createEtcd3(t, cluster, {
      defaultCallOptions: ({ method }) => {
        methods.push(method)
        return { deadline: Date.now() + 5000 }
      },
    })
    await client.get('a')
    await client.put('a').value('b')
    assert.deepEqual(methods, ['range', 'put'])
    await assert.rejects(
      client.get('a').options({ interceptors: [] }).exec(),
      /`interceptors` of grpc-js is not supported/,
    )
  })

  test('a mock takes the place of the cluster', async (t) => {
    const client = createEtcd3(t, cluster)
    const calls: string[] = []
    const exec = (async (service: string, method: string) => {
      calls.push(`${service}.${method}`)
      return method === 'leaseGrant' ? { ID: '7' } : { kvs: [] }
    }) as ICallable<unknown>['exec']
    client.mock({ exec })
    assert.equal(await client.get('a'), null)
    assert.equal(await client.lease(5).grant(), '7')
    await assert.rejects(client.watch().key('a').create(), /mocked client cannot watch/)
    client.unmock()
    assert.deepEqual(calls, ['KV.range', 'Lease.leaseGrant'])
    await client.get('a')
  })

  test('raw clients take and give the messages of etcd', async (t) => {
    const client = createEtcd3(t, cluster)
    const status = await client.maintenance.status()
    assert.equal(status.leader, status.header.member_id)
    const { members } = await client.cluster.memberList({})
    assert.equal(members[0]?.ID, status.header.member_id)
    const { ID } = await client.leaseClient.leaseGrant({ TTL: '60' })
    await client.kv.put({ key: Buffer.from('raw'), value: Buffer.from('1'), lease: ID })
    const found = await client.leaseClient.leaseTimeToLive({ ID, keys: true })
    assert.deepEqual([found.grantedTTL, found.keys], ['60', [Buffer.from('raw')]])
    const { kvs } = await client.kv.range({ key: Buffer.from('raw'), sort_order: SortOrder.Ascend, limit: '1' })
    assert.equal(kvs[0]?.lease, ID)
    await client.leaseClient.leaseRevoke({ ID })
    await assert.rejects(client.kv.range({ key: Buffer.from('a'), limit: 'x' }), /`limit` must be an integer/)
  })

  test('a raw watch is a stream of requests and answers', async (t) => {
    const client = createEtcd3(t, cluster)
    const stream = await client.watchClient.watch()
    const answers: { created: boolean; types: string[] }[] = []
    const written: Promise<unknown>[] = []
    const seen = new Promise<void>((resolve) => {
      stream.on('data', ({ created, events }) => {
        answers.push({ created, types: events.map(({ type }) => type) })
        if (created) written.push(client.put('streamed').value('').exec())
        else resolve()
      })
    })
    stream.write({ create_request: { key: Buffer.from('streamed'), filters: ['Nodelete'] } })
    await seen
    await Promise.all(written)
    stream.cancel()
    assert.deepEqual(answers, [
      { created: true, types: [] },
      { created: false, types: ['Put'] },
    ])
  })

  test('ranges and enums equal those of etcd3', () => {
    assert.deepEqual(Range.prefix(Buffer.from([1, 255])).end, Buffer.from([2]))
    assert.deepEqual(Range.prefix(''), new Range(Buffer.from([0]), Buffer.from([0])))
    assert.equal(new Range('b', 'e').compare(new Range('e', 'f')), -1)
    assert.deepEqual([new Range('b', 'd').includes('b'), new Range('b', 'd').includes('d')], [true, false])
    assert.equal((Permission as unknown as Record<number, string>)[Permission.Readwrite], 'Readwrite')
    assert.equal(Isolation.SerializableSnapshot, 0)
  })

  test('hosts without a scheme use TLS if there are credentials, and mixed ones are refused', () => {
    assert.throws(() => new Client({ hosts: ['https://a', 'http://b'] }), /mix of secure and insecure hosts/)
    assert.throws(() => new Client({ hosts: [] }), /no hosts specified/)
  })
})
