import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Etcd, isEtcdError } from '../../src/index.js'
import { type EtcdCluster, poll } from '../../src/testing/index.js'
import { addUser, authenticateCalls, authenticateRecords, rootPassword, startLoad } from '../support/auth.js'
import { startCluster, useCluster } from '../support/cluster.js'
import { createClient } from '../support/fixtures.js'
import type { Load } from '../support/load.js'

const root = { username: 'root', password: rootPassword }

/** What the members count while `work` is done. */
async function callsDuring(cluster: EtcdCluster, work: () => Promise<unknown>): Promise<number> {
  const before = await authenticateCalls(cluster)
  await work()
  return (await authenticateCalls(cluster)) - before
}

async function settled(count: number, call: () => Promise<unknown>): Promise<unknown[]> {
  const results = await Promise.allSettled(Array.from({ length: count }, call))
  return results.map((result) => (result.status === 'rejected' ? result.reason : undefined))
}

describe('Simple tokens on three members', () => {
  const cluster = useCluster({ members: 3, auth: { rootPassword } })
  let users = 0

  /** A user that no other test has. */
  async function newUser(t: TestContext): Promise<{ username: string; password: string }> {
    users += 1
    const user = { username: `app-${users}`, password: `app-${users}-secret` }
    await addUser(createClient(t, cluster, { auth: root }), user.username, user.password)
    return user
  }

  /** After a crash, a member repeats more of its log than after a proper end, and may know the token again. */
  async function restart(index: number): Promise<void> {
    await cluster.terminate(index)
    await cluster.restart(index)
  }

  test('10 clients make 1,000 calls each with one Authenticate', async (t) => {
    const auth = await newUser(t)
    const records = authenticateRecords(t)
    const clients = Array.from({ length: 10 }, () => createClient(t, cluster, { auth }))
    const thousandCalls = async (etcd: Etcd, client: number): Promise<void> => {
      for (let batch = 0; batch < 20; batch += 1) {
        const calls = Array.from({ length: 50 }, (_, index) =>
          index % 5 === 0 ? etcd.put(`shared/${client}/${index}`, 'x') : etcd.get(`shared/${client}/${index}`),
        )
        await Promise.all(calls)
      }
    }
    assert.equal(await callsDuring(cluster, () => Promise.all(clients.map(thousandCalls))), 1)
    assert.deepEqual(
      records.filter(({ username }) => username === auth.username).map(({ reason, outcome }) => [reason, outcome.ok]),
      [['first', true]],
    )
    const stats = clients.map((etcd) => etcd.auth.stats().authenticated.first)
    assert.equal(
      stats.reduce((sum, count) => sum + count, 0),
      1,
    )
  })

  test('a client created after the first one closed reuses its token', async (t) => {
    const auth = await newUser(t)
    await createClient(t, cluster, { auth }).put('later', '1')
    const again = async (): Promise<void> => {
      for (let client = 0; client < 5; client += 1) {
        const etcd = createClient(t, cluster, { auth })
        await etcd.get('later')
        await etcd.close()
      }
    }
    assert.equal(await callsDuring(cluster, again), 0)
  })

  test('a wrong password costs one Authenticate for 50 callers, an error with user and endpoint, and a pause', async (t) => {
    const { username } = await newUser(t)
    const records = authenticateRecords(t)
    const etcd = createClient(t, cluster, { auth: { username, password: 'not-the-secret' } })
    const failed: unknown[] = []
    etcd.on('authenticationFailed', ({ error }) => failed.push(error))
    let errors: unknown[] = []
    const callers = async (): Promise<void> => {
      errors = await settled(50, () => etcd.put('key', 'value'))
      errors.push(...(await settled(50, () => etcd.get('key'))))
    }
    assert.equal(await callsDuring(cluster, callers), 1)
    for (const error of errors) {
      assert.ok(isEtcdError(error, 'AUTH_FAILED'), String(error))
      assert.deepEqual([error.effect, error.retryable], ['none', false])
      assert.match(error.message, new RegExp(`user "${username}".* at http://127.0.0.1:\\d+`))
      assert.doesNotMatch(`${error.message}${error.stack}${JSON.stringify(error)}`, /secret/)
    }
    assert.equal(failed.length, 1)
    assert.deepEqual([etcd.auth.stats().failed, records.at(-1)?.outcome.ok], [1, false])
    // The first pause is over after a second at most: there is one more attempt then, and not one for each caller.
    const next = await callsDuring(cluster, async () => {
      await sleep(1000)
      await settled(50, () => etcd.get('key'))
    })
    assert.equal(next, 1)
  })

  test('a wrong password of one client does not affect other clients', async (t) => {
    const auth = await newUser(t)
    const right = createClient(t, cluster, { auth })
    const wrong = createClient(t, cluster, { auth: { ...auth, password: 'not-the-secret' } })
    const [failed, worked] = await Promise.allSettled([wrong.get('key'), right.get('key')])
    assert.deepEqual([failed.status, worked.status], ['rejected', 'fulfilled'])
    await assert.rejects(wrong.get('key'), { code: 'AUTH_FAILED' })
    await right.get('key')
  })

  test('a restarted member forgets the token: no call fails, and one Authenticate gets a new one', async (t) => {
    const auth = await newUser(t)
    const clients = [createClient(t, cluster, { auth }), createClient(t, cluster, { auth })]
    const records = authenticateRecords(t)
    const inTurn = (call: (etcd: Etcd) => Promise<unknown>): Load => {
      let turn = 0
      return startLoad(t, async () => {
        turn += 1
        await call(clients[turn % 2] ?? assert.fail())
      })
    }
    // A member that is started again repeats what came after the last write, logins too.
    await clients[0]?.put('restart', 'x')
    // Only reads while the member ends: the effect of writes under way on it would be unknown.
    const reads = inTurn((etcd) => etcd.get('restart'))
    await poll('there is traffic', () => reads.successes > 50 || undefined)
    await restart(((await cluster.leader()) + 1) % 3)
    const replaced = () => records.filter(({ reason }) => reason === 'rejected').length
    await poll('the token was replaced', () => replaced() > 0 || undefined)
    await reads.stop()
    const writes = inTurn((etcd) => etcd.put('restart', 'x'))
    await poll('there is traffic', () => writes.successes > 100 || undefined)
    await writes.stop()
    assert.deepEqual([...reads.failures, ...writes.failures], [])
    assert.deepEqual(
      records.map(({ username, reason }) => [username, reason]),
      [
        [auth.username, 'first'],
        [auth.username, 'rejected'],
      ],
    )
  })

  test('a changed password invalidates the token; the old password is rejected and the new one works', async (t) => {
    const auth = await newUser(t)
    const [old, admin] = [createClient(t, cluster, { auth }), createClient(t, cluster, { auth: root })]
    await old.put('key', 'old')
    await admin.auth.users.setPassword(auth.username, 'changed-secret')
    const fresh = createClient(t, cluster, { auth: { ...auth, password: 'changed-secret' } })
    await fresh.put('key', 'new')
    let errors: unknown[] = []
    const attempts = await callsDuring(cluster, async () => {
      errors = await settled(50, () => old.put('key', 'old'))
    })
    assert.equal(attempts, 1)
    for (const error of errors) assert.ok(isEtcdError(error, 'AUTH_FAILED') && error.effect === 'none', String(error))
    assert.equal((await fresh.get('key'))?.valueText, 'new')
    await admin.auth.users.setPassword(auth.username, auth.password)
    await poll('the client recovers', async () => await old.get('key'))
  })

  test('a deleted user gets a typed error, and works again once recreated', async (t) => {
    const { username, password } = await newUser(t)
    const [etcd, admin] = [
      createClient(t, cluster, { auth: { username, password } }),
      createClient(t, cluster, { auth: root }),
    ]
    await etcd.put('removed', '1')
    await admin.auth.users.remove(username)
    await assert.rejects(etcd.get('removed'), { code: 'AUTH_FAILED', effect: 'none' })
    await admin.auth.users.add(username, password)
    await admin.auth.users.grantRole(username, username)
    await poll('the client recovers', async () => await etcd.get('removed'))
  })

  test('changes to users and roles under load do not invalidate simple tokens', async (t) => {
    const auth = await newUser(t)
    const [etcd, admin] = [createClient(t, cluster, { auth }), createClient(t, cluster, { auth: root })]
    const load = startLoad(t, () => etcd.put('changes', 'x'), { restMs: 0 })
    for (let index = 0; index < 20; index += 1) {
      await admin.auth.roles.add(`${auth.username}-role-${index}`)
      await admin.auth.users.grantRole(auth.username, `${auth.username}-role-${index}`)
    }
    await load.stop()
    assert.deepEqual(load.failures, [])
    assert.deepEqual(etcd.auth.stats().authenticated, { first: 1, expiring: 0, rejected: 0 })
  })

  test('authentication is disabled and enabled again under running clients', async (t) => {
    const auth = await newUser(t)
    const [early, admin] = [createClient(t, cluster, { auth }), createClient(t, cluster, { auth: root })]
    const loads = [startLoad(t, () => early.put('switch', 'early'))]
    const traffic = () => {
      const counts = loads.map(({ successes }) => successes)
      return poll(
        'all clients go on',
        () => loads.every(({ successes }, index) => successes > (counts[index] ?? 0) + 50) || undefined,
      )
    }
    await traffic()
    await admin.auth.disable()
    const late = createClient(t, cluster, { auth })
    const anybody = createClient(t, cluster)
    loads.push(startLoad(t, () => late.put('switch', 'late')))
    await anybody.put('switch', 'anybody')
    await traffic()
    await anybody.auth.enable()
    await traffic()
    await Promise.all(loads.map((load) => load.stop()))
    assert.deepEqual(
      loads.map(({ failures }) => failures),
      [[], []],
    )
    await assert.rejects(anybody.get('switch'), {
      code: 'USER_EMPTY',
      effect: 'none',
      message: /set the option `auth`/,
    })
    await cluster.healthy()
  })

  test('another user has other permissions and another token', async (t) => {
    const [first, second] = [await newUser(t), await newUser(t)]
    const admin = createClient(t, cluster, { auth: root })
    await admin.auth.roles.revoke(second.username, { prefix: '' })
    await admin.auth.roles.grant(second.username, 'read', { prefix: 'public/' })
    const [etcd, reader] = [createClient(t, cluster, { auth: first }), createClient(t, cluster, { auth: second })]
    await etcd.put('public/key', 'value')
    await reader.range({ prefix: 'public/' })
    const denied = { code: 'PERMISSION_DENIED', effect: 'none', retryable: false }
    await assert.rejects(reader.put('public/key', 'mine'), denied)
    await assert.rejects(reader.get('private/key'), denied)
    await assert.rejects(reader.range({ prefix: '' }), denied)
    assert.equal((await etcd.get('public/key'))?.valueText, 'value')
    assert.equal(reader.auth.stats().authenticated.rejected, 0)
  })
})

describe('Simple tokens on two clusters', () => {
  test('are kept apart, also when a running client moves from one to the other', async (t) => {
    const one = await startCluster(t, { auth: { rootPassword } })
    const two = await startCluster(t, { auth: { rootPassword } })
    const clients = [createClient(t, one, { auth: root }), createClient(t, two, { auth: root })]
    const moving = createClient(t, one, { auth: root })
    for (const etcd of [...clients, moving]) await etcd.put('key', 'value')
    assert.deepEqual(
      clients.map((etcd) => etcd.auth.stats().authenticated.first),
      [1, 1],
    )
    moving.setEndpoints(two.endpoints)
    const counts = [await authenticateCalls(one), await authenticateCalls(two)]
    await poll('it has moved', async () => (await moving.put('key', 'moved')) && true)
    for (let turn = 0; turn < 20; turn += 1) for (const etcd of [...clients, moving]) await etcd.get('key')
    assert.deepEqual([await authenticateCalls(one), await authenticateCalls(two)], counts)
  })
})
