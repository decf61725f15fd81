import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isEtcdError } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { addUser, rootPassword } from '../support/auth.js'
import { useCluster } from '../support/cluster.js'
import { createClient } from '../support/fixtures.js'

const password = 'app-secret'

describe('Leases with authentication', { concurrency: true }, () => {
  // The first release series in which every renewal is checked with the token of its stream.
  const cluster = useCluster({ version: '3.5.30', auth: { rootPassword }, flags: { 'auth-token-ttl': 2 } })

  function root(t: Parameters<typeof createClient>[0]) {
    return createClient(t, cluster, { auth: { username: 'root', password: rootPassword } })
  }

  test("survive the expiry of their stream's token, without any event", async (t) => {
    const admin = root(t)
    await addUser(admin, 'app', password)
    const etcd = createClient(t, cluster, { auth: { username: 'app', password } })
    const emitted: unknown[] = []
    etcd.on('keepAliveLost', (event) => emitted.push(event))
    // Its renewals are farther apart than a token lives.
    const lease = await etcd.lease.grant(9)
    await etcd.put('held', '', { lease: lease.id })
    await sleep(10_000)
    assert.equal(lease.state, 'active')
    assert.equal((await admin.get('held'))?.lease, lease.id)
    const { first, rejected } = etcd.auth.stats().authenticated
    assert.ok(first + rejected >= 2, 'no token was replaced')
    assert.deepEqual(emitted, [])
  })

  test('are given up as refused when the user loses permission on one of their keys; other leases survive', async (t) => {
    const admin = root(t)
    await addUser(admin, 'limited', password)
    const etcd = createClient(t, cluster, { auth: { username: 'limited', password } })
    const [bad, good] = [await etcd.lease.grant(3), await etcd.lease.grant(3)]
    await admin.put('forbidden', '', { lease: bad.id })
    await admin.auth.roles.revoke('limited', { prefix: '' })
    await admin.auth.roles.grant('limited', 'readwrite', { prefix: 'allowed/' })
    await poll('the lease is refused', () => bad.signal.aborted || undefined)
    assert.equal(bad.signal.reason.reason, 'refused')
    assert.equal(bad.signal.reason.cause.code, 'PERMISSION_DENIED')
    assert.ok((await admin.lease.timeToLive(bad.id)) !== undefined)
    await sleep(3000)
    assert.equal(good.state, 'active')
  })

  test('carry a registration whose key the user cannot read; it reports that a deletion would go unnoticed', async (t) => {
    const admin = root(t)
    await addUser(admin, 'blind', password, { type: 'write', range: { prefix: 'blind/' } })
    const etcd = createClient(t, cluster, { auth: { username: 'blind', password } })
    const codes: unknown[] = []
    etcd.on('registrationFailed', ({ error }) => codes.push(isEtcdError(error) && error.code))
    const registration = await etcd.register('blind/a', 'old')
    await poll('it is reported', () => codes.length > 0 || undefined)
    await registration.update('new')
    assert.equal((await admin.get('blind/a'))?.valueText, 'new')
    const { leaseId } = registration
    await admin.lease.revoke(leaseId ?? '')
    await registration.update('newer')
    await poll('it is restored', () => registration.isRegistered || undefined)
    const kv = await admin.get('blind/a')
    assert.deepEqual([kv?.valueText, kv?.lease === registration.leaseId], ['newer', true])
    assert.notEqual(registration.leaseId, leaseId)
    assert.deepEqual(codes, ['PERMISSION_DENIED'])
  })
})
