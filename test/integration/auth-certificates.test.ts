import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Etcd } from '../../src/index.js'
import { addUser, authenticateCalls, rootPassword, startLoad } from '../support/auth.js'
import { useCluster } from '../support/cluster.js'
import { createClient } from '../support/fixtures.js'

describe('Users authenticated by client certificate', () => {
  const cluster = useCluster({ members: 3, tls: { clientCertAuth: true }, auth: { rootPassword } })

  function clientOf(t: TestContext, commonName: string): Etcd {
    const { tls } = cluster
    const { certFile, keyFile } = tls?.clientCert(commonName) ?? assert.fail()
    return createClient(t, cluster, { tls: { ca: tls?.caFile, cert: certFile, key: keyFile } })
  }

  test('need no Authenticate while users and roles change, and have the permissions of their name', async (t) => {
    const admin = clientOf(t, 'root')
    await admin.put('secret/key', 'x')
    await addUser(admin, 'alice', undefined, { range: { prefix: 'alice/' } })
    const before = await authenticateCalls(cluster)
    const alice = clientOf(t, 'alice')
    const load = startLoad(t, () => alice.put('alice/key', 'x'), { restMs: 0 })
    for (let index = 0; index < 20; index += 1) await admin.auth.roles.add(`role-${index}`)
    await load.stop()
    assert.deepEqual(load.failures, [])
    await assert.rejects(alice.get('secret/key'), { code: 'PERMISSION_DENIED', effect: 'none' })
    await assert.rejects(clientOf(t, 'nobody').get('alice/key'), (error: { code?: unknown }) =>
      ['PERMISSION_DENIED', 'USER_EMPTY', 'USER_NOT_FOUND'].includes(String(error.code)),
    )
    assert.equal(await authenticateCalls(cluster), before)
  })

  test('are identified by their password if they have one', async (t) => {
    const { tls } = cluster
    const { cert, key } = tls?.clientCert('mallory') ?? assert.fail()
    const auth = { username: 'root', password: rootPassword }
    const etcd = createClient(t, cluster, { tls: { ca: tls?.ca, cert, key }, auth })
    assert.ok((await etcd.auth.users.list()).includes('root'))
  })
})
