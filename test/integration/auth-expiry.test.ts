import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuthenticateRecord } from '../../src/index.js'
import { EtcdCluster, poll } from '../../src/testing/index.js'
import { addUser, authenticateCalls, authenticateRecords, rootPassword, startLoad } from '../support/auth.js'
import { createClient } from '../support/fixtures.js'
import { JwtKeys } from '../support/jwt.js'

const root = { username: 'root', password: rootPassword }
const password = 'app-secret'
const ttlSeconds = 2
const loadMs = 10_000

function asked(records: readonly AuthenticateRecord[], user: string, reason: string): number {
  return records.filter(({ username, ...record }) => username === user && record.reason === reason).length
}

describe('Tokens with a TTL of two seconds', () => {
  const keys = new JwtKeys()
  let simple: EtcdCluster
  let jwt: EtcdCluster

  before(async () => {
    const auth = { rootPassword }
    simple = await EtcdCluster.start({ members: 3, auth, flags: { 'auth-token-ttl': ttlSeconds } })
    jwt = await EtcdCluster.start({ auth, flags: { 'auth-token': keys.flag(ttlSeconds) } })
  })
  after(async () => {
    await Promise.all([simple?.stop(), jwt?.stop()])
    keys[Symbol.dispose]()
  })

  test('are renewed in time: no call fails in ten seconds, and no Authenticate is wasted', async (t) => {
    const admin = createClient(t, simple, { auth: root })
    for (const user of ['busy', 'bursts', 'lazy']) await addUser(admin, user, password)
    await addUser(createClient(t, jwt, { auth: root }), 'jwt', password)
    const client = (cluster: EtcdCluster, username: string, tokenTtlMs?: number) =>
      createClient(t, cluster, { auth: { username, password, tokenTtlMs } })
    const busy = client(simple, 'busy', ttlSeconds * 1000)
    const bursts = client(simple, 'bursts', ttlSeconds * 1000)
    const lazy = client(simple, 'lazy')
    const signed = client(jwt, 'jwt')
    const records = authenticateRecords(t)
    const before = await authenticateCalls(jwt)
    const loads = [
      startLoad(t, () => busy.put('key', 'busy'), { workers: 4, restMs: 10 }),
      startLoad(t, () => signed.put('key', 'jwt'), { workers: 4, restMs: 10 }),
      // Longer pauses than a token lives, which members check every second: each burst of calls finds it forgotten.
      startLoad(t, () => bursts.put('key', 'bursts'), { workers: 8, restMs: 3200 }),
      startLoad(t, () => lazy.put('key', 'lazy'), { workers: 8, restMs: 3200 }),
    ]
    await sleep(loadMs)
    await Promise.all(loads.map((load) => load.stop()))
    const counted = (await authenticateCalls(jwt)) - before
    assert.deepEqual(
      loads.flatMap(({ failures }) => failures),
      [],
    )
    for (const load of loads) assert.ok(load.successes > 20, `${load.successes} calls`)
    // Simple tokens live on while they are used.
    assert.deepEqual([asked(records, 'busy', 'first'), asked(records, 'busy', 'rejected')], [1, 0])
    // etcd cuts the end of a JWT to the second, so that it lives for one to two of them: 80 % of that is 800 ms at least.
    const maxRounds = Math.ceil(loadMs / 800)
    assert.ok(asked(records, 'jwt', 'expiring') >= 4, 'the JWT was not replaced')
    assert.equal(asked(records, 'jwt', 'rejected'), 0)
    assert.equal(counted, records.filter(({ username }) => username === 'jwt').length)
    assert.ok(counted <= maxRounds, `${counted} Authenticates for JWTs in ${loadMs} ms`)
    for (const user of ['bursts', 'lazy']) {
      const count = records.filter(({ username }) => username === user).length
      assert.ok(count >= 3 && count <= 5, `${count} Authenticates for 4 bursts of ${user}`)
    }
    assert.ok(records.every(({ outcome }) => outcome.ok))
  })

  test('do not prevent a client from recovering from an outage longer than the TTL', async (t) => {
    const etcd = createClient(t, jwt, { auth: { username: 'jwt', password }, timeoutMs: 1000, connectTimeoutMs: 500 })
    const watcher = etcd.watch('outage')
    await watcher.ready()
    await etcd.put('outage', 'before')
    await jwt.kill(0)
    const load = startLoad(t, () => etcd.put('outage', 'during'), { workers: 4, restMs: 50 })
    await sleep(ttlSeconds * 1000 + 500)
    assert.equal(load.successes, 0)
    await jwt.restart(0)
    await poll('calls work again by themselves', () => load.successes > 20 || undefined)
    await load.stop()
    assert.equal((await etcd.get('outage'))?.valueText, 'during')
    const received = new Set<string>()
    for await (const { valueText } of watcher) if (received.add(valueText).has('during')) break
    assert.deepEqual([...received], ['before', 'during'])
    assert.ok(load.failures.every(({ error }) => error instanceof Error && !error.message.includes(password)))
  })
})
