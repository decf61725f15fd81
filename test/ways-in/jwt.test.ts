import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { addUser, rootPassword } from '../support/auth.js'
import { startCluster } from '../support/cluster.js'
import { createClient } from '../support/fixtures.js'
import { JwtKeys } from '../support/jwt.js'
import { transports } from './transports.js'

const password = 'app-secret'

describe('JWTs whose keys are replaced', { concurrency: true }, () => {
  for (const transport of transports) {
    const keys = new JwtKeys()
    after(() => keys[Symbol.dispose]())

    test(`are replaced unnoticed by callers, watches and leases, by ${transport}`, async (t) => {
      const cluster = await startCluster(t, {
        members: 3,
        auth: { rootPassword },
        flags: { 'auth-token': keys.flag(300) },
      })
      const admin = createClient(t, cluster, { auth: { username: 'root', password: rootPassword }, transport })
      await addUser(admin, 'app', password)
      const etcd = createClient(t, cluster, { auth: { username: 'app', password }, transport })
      await using watcher = etcd.watch('key')
      await watcher.ready()
      const lease = await etcd.lease.grant(60)
      await etcd.put('key', '0', { lease: lease.id })
      for (const round of ['1', '2']) {
        keys.replace()
        await Promise.all([0, 1, 2].map((index) => cluster.kill(index)))
        await Promise.all([0, 1, 2].map((index) => cluster.restart(index)))
        await etcd.put('key', round, { lease: lease.id, timeoutMs: 30_000 })
      }
      assert.equal((await etcd.get('key'))?.valueText, '2')
      assert.equal(await etcd.lease.keepAliveOnce(lease.id), 60)
      const seen: string[] = []
      for await (const { valueText } of watcher) if (seen.push(valueText) === 3) break
      assert.deepEqual(seen, ['0', '1', '2'])
      assert.ok(etcd.auth.stats().authenticated.rejected >= 1)
      assert.ok(lease.isAlive())
    })
  }
})
