import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { EtcdCluster, poll } from '../../src/testing/index.js'
import { memberAt, proxyAt } from '../support/cluster-view.js'
import { createClient } from '../support/fixtures.js'

describe('A member that is shut down in order and takes no new connections', { concurrency: true }, () => {
  for (const transport of ['grpc-js', 'http2'] as const) {
    test(`still answers the call that is under way on the connection it leaves: ${transport}`, async (t) => {
      await using cluster = await EtcdCluster.start({ proxy: true })
      // etcd 3.4 ends its calls instead of waiting for them.
      if (memberAt(cluster, 0).version.startsWith('3.4.')) return t.skip('etcd 3.4 does not wait for calls')
      const etcd = createClient(t, cluster, { transport })
      const { revision: before } = await etcd.put('before', 'x')
      const proxy = proxyAt(cluster, 0)
      proxy.throttle(500_000, 'up')
      const sent = etcd.put('key', Buffer.alloc(1_200_000))
      await poll('the request is under way', () => etcd.endpoints()[0]?.inFlight === 1 || undefined)
      proxy.refuse()
      const terminated = cluster.terminate(0)
      await poll('the client knows', () => etcd.endpoints()[0]?.state === 'connecting' || undefined)
      await poll('another connection was refused', () => etcd.endpoints()[0]?.reason || undefined)
      const { revision } = await sent
      assert.equal(revision, before + 1)
      assert.equal(etcd.endpoints()[0]?.state, 'connecting')
      await terminated
    })
  }
})
