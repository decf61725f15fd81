import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import {
  Etcd3 as Client,
  ClientClosedError,
  type Etcd3,
  EtcdLeaseInvalidError,
  GRPCDeadlineExceededError,
  type ICallable,
  Isolation,
  LeaseState,
  NotCampaigningError,
} from '../../src/etcd3/index.js'
import { channels, type Etcd } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { uniquePrefix } from '../support/fixtures.js'
import { createEtcd3, nextEvent } from './client.js'

interface Call {
  readonly method: string
  readonly params: Record<string, unknown>
  readonly options: unknown
}

/** A client without a cluster, and what its builders send, in order. */
function recorded(
  t: TestContext,
  answer: () => object = () => ({}),
): { readonly client: Client; readonly calls: readonly Call[] } {
  const client = new Client({ hosts: '127.0.0.1:1' })
  t.after(() => client.close())
  const calls: Call[] = []
  const exec = (async (service: string, method: string, params: Record<string, unknown>, options: unknown) => {
    calls.push({ method: `${service}.${method}`, params, options })
    return { kvs: [], count: '0', prev_kvs: [], responses: [], ...answer() }
  }) as ICallable<unknown>['exec']
  client.mock({ exec })
  return { client, calls }
}

describe('etcdkit/etcd3: requests', () => {
  const key = (text: string): Buffer => Buffer.from(text)

  test('of reads have all that their builder was given', async (t) => {
    const { client, calls } = recorded(t)
    const options = { deadline: 5 }
    await client
      .namespace('ns/')
      .getAll()
      .prefix('p')
      .revision(1)
      .serializable(true)
      .minModRevision(2)
      .maxModRevision('3')
      .minCreateRevision(4)
      .maxCreateRevision(5)
      .limit(6)
      .sort('Mod', 'Descend')
      .options(options)
      .exec()
    assert.deepEqual(calls[0]?.params, {
      key: key('ns/p'),
      range_end: key('ns/q'),
      revision: 1,
      serializable: true,
      min_mod_revision: 2,
      max_mod_revision: 3,
      min_create_revision: 4,
      max_create_revision: 5,
      limit: 6,
      sort_target: 3,
      sort_order: 2,
    })
    assert.equal(calls[0].options, options)
    await client.getAll().limit(Number.POSITIVE_INFINITY).count()
    await client.getAll().keys()
    await client.get('a').exists()
    await client.get('a').options(options).exec()
    assert.deepEqual(
      calls.slice(1).map(({ params }) => [params.limit, params.count_only, params.keys_only]),
      [
        [0, true, undefined],
        [undefined, undefined, true],
        [1, undefined, true],
        [1, undefined, undefined],
      ],
    )
    assert.equal(calls[4]?.options, options)
  })

  test('of writes have all that their builder was given', async (t) => {
    const { client, calls } = recorded(t)
    const options = { deadline: 5 }
    const keys = client.namespace('ns/')
    await keys.put('a').value(7).ignoreLease().lease('9').options(options).exec()
    await keys.put('a').value('x').touch()
    await keys.put('a').value('x').getPrevious()
    await keys.delete().prefix('p').key('a').options(options).getPrevious()
    await keys.delete().inRange({ start: 'a', end: 'c' }).exec()
    assert.deepEqual(
      calls.map(({ params }) => params),
      [
        { key: key('ns/a'), value: key('7'), ignore_lease: true, lease: '9' },
        { key: key('ns/a'), value: undefined, ignore_value: true },
        { key: key('ns/a'), value: key('x'), prev_kv: true },
        { key: key('ns/a'), range_end: undefined, prev_kv: true },
        { key: key('ns/a'), range_end: key('ns/c') },
      ],
    )
    assert.deepEqual([calls[0]?.options, calls[3]?.options], [options, options])
  })

  test('of one tick are sent in their order', async (t) => {
    const { client, calls } = recorded(t)
    await Promise.all([client.put('a').value('1').exec(), client.delete().key('a').exec(), client.put('b').exec()])
    assert.deepEqual(
      calls.map(({ method }) => method),
      ['KV.put', 'KV.deleteRange', 'KV.put'],
    )
  })

  test('have their answers as text, numbers, JSON or bytes, in any encoding', async (t) => {
    const header = { revision: '5' }
    const prev_kv = { key: key('a'), value: key('6') }
    const { client } = recorded(t, () => ({ header, prev_kv, kvs: [{ key: key('ns/a'), value: key('7') }] }))
    const keys = client.namespace('ns/')
    const read = (): ReturnType<typeof keys.getAll> => keys.getAll()
    assert.deepEqual(await Promise.all([read().numbers(), read().json(), read().strings('hex')]), [
      { a: 7 },
      { a: 7 },
      { a: '37' },
    ])
    assert.deepEqual(await read().keys('hex'), ['61'])
    assert.deepEqual(await client.put('a').getPrevious(), { ...prev_kv, header })
    const none = recorded(t).client
    assert.deepEqual([await none.get('a').number(), await none.get('a').json()], [null, null])
    assert.throws(() => client.getAll().sort('Key', 'Wrong' as 'None'), /Unexpected "Wrong" in sort order/)
    await assert.rejects(client.get('a').string('wrong' as 'hex'), /`encoding` must be an encoding of text/)
  })

  test('of transactions have every comparison and operation, in the namespace', async (t) => {
    const { client, calls } = recorded(t)
    const keys = client.namespace('ns/')
    const options = { deadline: 5 }
    await keys
      .if('a', 'Value', '!=', 'v')
      .and('a', 'Version', '<', 1)
      .and('a', 'Mod', '>', '2')
      .and('a', 'Create', '!==', 3)
      .and('a', 'Lease', '===', '4')
      .then(keys.put('b').value('1').lease(Promise.resolve('9')), keys.getAll().prefix('p'))
      .else(keys.delete().prefix('p'))
      .options(options)
      .commit()
    const range = { key: key('ns/p'), range_end: key('ns/q') }
    assert.deepEqual(calls[0]?.params, {
      compare: [
        { key: key('ns/a'), result: 3, target: 3, value: key('v') },
        { key: key('ns/a'), result: 2, target: 0, version: 1 },
        { key: key('ns/a'), result: 1, target: 2, mod_revision: '2' },
        { key: key('ns/a'), result: 3, target: 1, create_revision: 3 },
        { key: key('ns/a'), result: 0, target: 4, lease: '4' },
      ],
      success: [{ request_put: { key: key('ns/b'), value: key('1'), lease: '9' } }, { request_range: range }],
      failure: [{ request_delete_range: range }],
    })
    assert.equal(calls[0].options, options)
    for (const [column, comparator] of [
      ['Wrong', '=='],
      ['Version', '~'],
    ]) {
      assert.throws(() => keys.if('a', column as 'Mod', comparator as '==', 1), /Unexpected "/)
    }
  })
})

describe('etcdkit/etcd3: users, leases, locks and elections', () => {
  const cluster = useCluster({ flags: { 'bcrypt-cost': 4 } })

  test('users have passwords and roles, and lists of both', async (t) => {
    const client = createEtcd3(t, cluster)
    const user = await client.user('u').create('first')
    const role = await client.role('r').create()
    await user.addRole(role)
    assert.deepEqual(
      (await user.roles()).map(({ name }) => name),
      ['r'],
    )
    await user.removeRole('r')
    await role.addUser(user)
    assert.deepEqual(
      (await user.roles()).map(({ name }) => name),
      ['r'],
    )
    await role.removeUser('u')
    assert.deepEqual(await user.roles(), [])
    assert.deepEqual(
      (await client.getUsers()).map(({ name }) => name),
      ['u'],
    )
    assert.deepEqual(
      (await client.getRoles()).map(({ name }) => name),
      ['r'],
    )
    await client.user('root').create('root')
    await client.user('root').addRole(await client.role('root').create())
    await client.auth.authEnable()
    const login = (password: string): Etcd3 => createEtcd3(t, cluster, { auth: { username: 'u', password } })
    const admin = createEtcd3(t, cluster, { auth: { username: 'root', password: 'root' } })
    await assert.rejects(login('wrong').get('a').exec(), { name: 'EtcdAuthenticationFailedError' })
    await assert.rejects(login('first').get('a').exec(), { name: 'EtcdPermissionDeniedError' })
    await admin.user('u').setPassword('second')
    await assert.rejects(login('second').get('a').exec(), { name: 'EtcdPermissionDeniedError' })
    await admin.user('u').delete()
    await admin.auth.authDisable()
    assert.deepEqual(
      (await client.getUsers()).map(({ name }) => name),
      ['root'],
    )
  })

  test('a lease that is released, or not kept alive, stays for its time; a revoked one does not', async (t) => {
    const client = createEtcd3(t, cluster)
    const ttlOf = async (lease: { grant(): Promise<string> }): Promise<number> =>
      Number((await client.leaseClient.leaseTimeToLive({ ID: await lease.grant() })).TTL)
    // How many leases the engine keeps alive.
    const kept = (): number => (client as unknown as { readonly pool: { engine: Etcd } }).pool.engine.stats().leases
    const released = client.lease(60.9)
    assert.equal((await client.leaseClient.leaseTimeToLive({ ID: await released.grant() })).grantedTTL, '60')
    assert.equal(released.state, LeaseState.Alive)
    released.on('keepaliveEstablished', () => assert.fail('it was released before'))
    assert.equal(kept(), 1)
    released.release()
    assert.deepEqual([released.state, kept()], [LeaseState.Revoked, 0])
    const early = client.lease(60)
    early.release()
    await early.grant()
    assert.equal(kept(), 0, 'it was released before it was granted')
    const renewed = client.lease(60, { autoKeepAlive: false })
    renewed.on('keepaliveEstablished', () => assert.fail('it is not kept alive'))
    await renewed.grant()
    assert.equal((await renewed.keepaliveOnce()).TTL, '60')
    await renewed.revoke()
    await renewed.revoke()
    assert.equal(await ttlOf(renewed), -1)
    await assert.rejects(renewed.put('a').value('').exec(), EtcdLeaseInvalidError)
    await assert.rejects(renewed.keepaliveOnce(), EtcdLeaseInvalidError)
    const bounded = client.lease(60, { deadline: Date.now() + 5000 })
    await bounded.grant()
    const aborted = AbortSignal.abort(new Error('of the caller'))
    await assert.rejects(bounded.revoke({ signal: aborted }), /of the caller/)
    const gone = client.lease(60, { autoKeepAlive: false })
    await client.leaseClient.leaseRevoke({ ID: await gone.grant() })
    await assert.rejects(gone.put('a').value('').exec(), EtcdLeaseInvalidError)
    assert.equal(gone.revoked(), true)
    const quick = client.lease(60)
    quick.on('keepaliveEstablished', () => assert.fail('it was released before'))
    await quick.grant()
    quick.release()
    for (const each of [released, early, bounded, quick]) assert.ok((await ttlOf(each)) > 50)
    assert.equal(channels.lease.hasSubscribers, false)
    const last = client.lease(60)
    last.on('lost', () => assert.fail('its client was closed'))
    await last.grant()
    await client.close()
    assert.equal(last.state, LeaseState.Revoked)
  })

  test('a lock has its TTL, can be acquired again, and is released when its function fails', async (t) => {
    const client = createEtcd3(t, cluster)
    const name = uniquePrefix()
    const lock = client.lock(name)
    assert.equal(await lock.leaseId(), null)
    assert.throws(() => lock.release(), /was not acquired/)
    await lock.ttl(77).acquire()
    const { grantedTTL, keys } = await client.leaseClient.leaseTimeToLive({
      ID: String(await lock.leaseId()),
      keys: true,
    })
    assert.deepEqual([grantedTTL, keys.map(String)], ['77', [name]])
    await client.leaseClient.leaseRevoke({ ID: String(await lock.leaseId()) })
    const again = client.lock(name)
    const failed = again.do(async () => {
      throw new Error('of the function')
    })
    await assert.rejects(failed, /of the function/)
    assert.equal(await client.get(name), null)
    assert.equal(await again.do(() => 'done'), 'done')
    await assert.rejects(
      client
        .lock(name)
        .options({ deadline: Date.now() - 1 })
        .acquire(),
      GRPCDeadlineExceededError,
    )
  })

  test('a campaign that was resigned has no key, and its waiters reject', async (t) => {
    const client = createEtcd3(t, cluster)
    const election = client.election(uniquePrefix(), 55)
    assert.equal(await election.leader(), undefined)
    const first = await election.campaign('one').wait()
    const [, leaseId] = /\/(\d+)$/.exec(await first.getCampaignKey()) ?? []
    assert.equal((await client.leaseClient.leaseTimeToLive({ ID: String(leaseId) })).grantedTTL, '55')
    assert.deepEqual(await election.leader('buffer'), Buffer.from('one'))
    const revision = async () => (await client.get(await first.getCampaignKey()).exec()).kvs[0]?.mod_revision
    const before = await revision()
    await first.proclaim('one')
    assert.equal(await revision(), before, 'the same value is not written again')
    const second = election.campaign('two')
    const waiting = assert.rejects(second.wait(), NotCampaigningError)
    await nextEvent(second, '_isWaiting')
    await second.resign()
    await waiting
    await assert.rejects(second.wait(), NotCampaigningError)
    assert.equal(await client.get(await second.getCampaignKey()), null)
    await client.delete().key(await first.getCampaignKey())
    await assert.rejects(first.proclaim('other'), NotCampaigningError)
    assert.equal(await election.leader(), undefined)
  })

  test('an observer follows the oldest candidate, reports each leader once, and ends', async (t) => {
    const client = createEtcd3(t, cluster)
    const election = client.election(uniquePrefix())
    const first = await election.campaign('one').wait()
    const second = election.campaign('two')
    await second.getCampaignKey()
    await nextEvent(second, '_isWaiting')
    const observer = await election.observe()
    const leaders: unknown[] = []
    observer.on('change', (leader) => leaders.push(leader))
    assert.deepEqual([observer.leader(), observer.hasLeader], ['one', true])
    await first.proclaim('uno')
    await first.resign()
    await second.wait()
    await second.proclaim('two')
    await poll('both leaders are reported', () => leaders.length >= 2 || undefined)
    assert.deepEqual(leaders, ['uno', 'two'])
    await observer.cancel()
    await second.resign()
    observer.on('error', () => assert.fail('it is over'))
    await client.close()
    assert.deepEqual(leaders, ['uno', 'two'])
    await assert.rejects(client.get('a').exec(), ClientClosedError)
  })

  test('a watch that was cancelled has no more events, and is no longer open', async (t) => {
    const client = createEtcd3(t, cluster)
    const keys = client.namespace(uniquePrefix())
    const { engine } = (client as unknown as { readonly pool: { engine: Etcd } }).pool
    const early = keys.watch().prefix('').watcher()
    const ended = nextEvent(early, 'end')
    await early.cancel()
    await ended
    assert.deepEqual([early.id, engine.stats().watches], [null, []])
    const watcher = await keys.watch().prefix('').create()
    const seen: string[] = []
    watcher.on('put', ({ key }) => {
      seen.push(key.toString())
      void watcher.cancel()
    })
    const over = nextEvent(watcher, 'end')
    await keys.if('x', 'Create', '==', 0).then(keys.put('a').value(''), keys.put('b').value('')).commit()
    await over
    assert.deepEqual([seen, engine.stats().watches], [['a'], []])
  })

  test('a software transaction has its options, its own writes, and no other use', async (t: TestContext) => {
    const keys = createEtcd3(t, cluster).namespace(uniquePrefix())
    const lease = await (keys as Etcd3).lease(60).grant()
    await keys.put('leased').value('1').lease(lease)
    let runs = 0
    const conflict = keys.stm({ retries: 2, isolation: Isolation.SerializableSnapshot }).transact(async (tx) => {
      runs += 1
      await tx.get('counter')
      await keys.put('counter').value(runs)
      await tx.put('other').value('x')
    })
    await assert.rejects(conflict, { name: 'STMConflictError' })
    assert.equal(runs, 3)
    const stm = keys.stm({ prefetch: ['leased'] })
    await stm.transact(async (tx) => {
      await tx.put('leased').value('2').ignoreLease()
      assert.equal(await tx.get('leased'), '2')
      await tx.delete().key('counter')
      assert.equal(await tx.get('counter'), null)
    })
    const { kvs } = await keys.get('leased').exec()
    assert.deepEqual([kvs[0]?.value.toString(), kvs[0]?.lease], ['2', lease])
    assert.throws(() => stm.get('a'), /use it within transact/)
    for (const refused of [
      () => keys.stm().transact((tx) => tx.put('a').value('').lease(lease).exec()),
      () => keys.stm().transact((tx) => tx.get('a').revision(1).exec()),
      () => keys.stm().transact((tx) => tx.delete().key('a').getPrevious()),
    ]) {
      await assert.rejects(refused(), /is not supported in .* requests within STM/)
    }
    await assert.rejects(
      keys.stm({ isolation: 9 as Isolation }).transact(() => 1),
      /Unknown isolation level 9/,
    )
    const late = keys.stm({ callOptions: { deadline: Date.now() - 1 } }).transact((tx) => tx.get('a').exec())
    await assert.rejects(late, GRPCDeadlineExceededError)
  })
})
