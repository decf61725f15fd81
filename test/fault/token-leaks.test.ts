import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { poll } from '../../src/testing/index.js'
import { rootPassword } from '../support/auth.js'
import { useCluster } from '../support/cluster.js'
import { createClient } from '../support/fixtures.js'
import { GrpcServer, type ServedCall } from '../support/grpc-server.js'

const auth = { username: 'root', password: rootPassword }
/** A status of the cluster 1, whose leader and only member has the ID 1, in version 3.5.30. */
const foreignStatus = Buffer.from('0a08080110011801200212' + '06332e352e3330' + '20013002', 'hex')

function answer({ headers, reply, replyHeaders }: ServedCall): void {
  if (headers[':path'] === '/etcdserverpb.Maintenance/Status') reply(foreignStatus)
  else replyHeaders({ 'grpc-status': 14, 'grpc-message': 'unavailable' })
}

describe('A member of another cluster among the endpoints', () => {
  const cluster = useCluster({ auth: { rootPassword } })

  for (const transport of ['http2', 'grpc-js'] as const) {
    test(`receives no token, password, key or value over ${transport}`, async (t) => {
      await using foreign = await GrpcServer.start(answer)
      const etcd = createClient(t, cluster, { auth, transport })
      await etcd.put('key', 'value')
      etcd.setEndpoints([...cluster.endpoints, foreign.endpoint])
      await poll(
        'the other cluster was recognized',
        () =>
          etcd.endpoints().some(({ endpoint, clusterId }) => endpoint === foreign.endpoint && clusterId === '1') ||
          undefined,
      )
      await using watcher = etcd.watch('key')
      await watcher.ready()
      await Promise.all([etcd.lease.grant(10), etcd.get('key'), etcd.put('key', 'other'), etcd.auth.users.list()])
      assert.ok(foreign.calls.length > 0)
      for (const { headers } of foreign.calls) {
        assert.equal(headers[':path'], '/etcdserverpb.Maintenance/Status')
        assert.equal(headers.token, undefined)
        assert.equal(headers.authorization, undefined)
      }
    })
  }
})
