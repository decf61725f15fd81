import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { useCluster } from '../support/cluster.js'
import { memberAt } from '../support/cluster-view.js'
import { createClient } from '../support/fixtures.js'

describe('Times beyond the range of timers', () => {
  const cluster = useCluster()

  /** Years, in seconds and milliseconds. */
  const [ttlSeconds, timeoutMs] = [8_000_000_000, 1e15]

  for (const transport of ['http2', 'grpc-js'] as const) {
    test(`limit calls and keep leases over ${transport}, without a warning or a renewal`, async (t) => {
      const warnings: Error[] = []
      const listen = (warning: Error): number => warnings.push(warning)
      process.on('warning', listen)
      t.after(() => process.off('warning', listen))
      const etcd = createClient(t, cluster, { transport, timeoutMs })
      const lease = await etcd.lease.grant(ttlSeconds, { timeoutMs: 1e300 })
      await etcd.put('long', '1', { ttlSeconds: 8_000_000, timeoutMs })
      await etcd.put('long', '2', { ttlSeconds, timeoutMs: 1e300 })
      assert.equal((await etcd.get('long', { timeoutMs: Number.POSITIVE_INFINITY }))?.valueText, '2')
      const lock = await etcd.lock('long', { ttlSeconds: 8_000_000, timeoutMs })
      await Promise.all([etcd.put('a', ''), etcd.put('b', '')])
      assert.ok(lease.isAlive() && lock.isHeld())
      const renewals = await memberAt(cluster, 0).metric('grpc_server_msg_received_total', {
        grpc_method: 'LeaseKeepAlive',
      })
      assert.ok(renewals <= 10, `${renewals} renewals`)
      await lock.release()
      assert.deepEqual(warnings.map(String), [])
    })
  }
})
