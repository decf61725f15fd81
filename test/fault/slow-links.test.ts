import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { useCluster, useProxy } from '../support/cluster.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'

const megabitsPerSecond = 125_000

describe('Calls over a slow link', () => {
  const cluster = useCluster({ proxy: true, flags: { 'max-request-bytes': '4000000' } })
  const proxy = useProxy(cluster)

  for (const transport of ['grpc-js', 'http2'] as const) {
    describe(`by ${transport}`, () => {
      test('succeed when requests and answers take seconds, and delay nothing else', async (t) => {
        t.after(() => proxy.heal())
        const prefix = uniquePrefix()
        const etcd = createClient(t, cluster, { transport, maxRequestBytes: 4_000_000 })
        const kv = etcd.namespace(prefix)
        const trouble: string[] = []
        etcd.on('endpointEjected', ({ reason }) => trouble.push(reason))
        etcd.on('endpointLost', ({ reason = 'lost' }) => trouble.push(reason))
        etcd.on('watchLost', ({ endpoint }) => trouble.push(`watch on ${endpoint}`))
        await kv.watch('seen').ready()
        await kv.put('large', Buffer.alloc(2_000_000, 1))

        proxy.throttle(8 * megabitsPerSecond)
        const read = await kv.get('large')
        assert.equal(read?.value.length, 2_000_000)

        proxy.throttle(2 * megabitsPerSecond)
        await kv.put('small', Buffer.alloc(500_000, 2))
        await kv.get('seen')
        assert.deepEqual(trouble, [])
      })
    })
  }
})
