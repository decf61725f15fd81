import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertAllCalls } from '../support/all-calls.js'
import { startCluster, useCluster } from '../support/cluster.js'
import { memberAt } from '../support/cluster-view.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'
import { proxiesRoot, startNginxTls, startProxy } from '../support/http2-proxies.js'
import { transports } from './transports.js'

const root = await proxiesRoot()

describe('nginx whose member is down', {
  skip: root instanceof Error ? root.message : false,
  concurrency: true,
}, () => {
  for (const transport of transports) {
    test(`fails calls without effect and names its answer, until the member is back, by ${transport}`, async (t) => {
      assert.ok(typeof root === 'string')
      const cluster = await startCluster(t)
      const port = Number(new URL(memberAt(cluster, 0).clientUrl).port)
      const endpoint = await startProxy(t, root, 'nginx', port)
      await cluster.kill(0)
      const etcd = createClient(t, { endpoints: [endpoint] }, { transport })
      const reasons: string[] = []
      etcd.on('endpointEjected', ({ reason }) => reasons.push(reason))
      for (const call of [() => etcd.put('key', '', { timeoutMs: 1500 }), () => etcd.get('key', { timeoutMs: 1500 })]) {
        await assert.rejects(call(), {
          code: 'NOT_CONNECTED',
          effect: 'none',
          message: /Received HTTP status code 502/,
        })
      }
      assert.deepEqual(reasons, ['unavailable'])
      assert.match(etcd.endpoints()[0]?.reason ?? '', /^Received HTTP status code 502/)
      const put = etcd.put('key', 'value', { timeoutMs: 20_000 })
      await cluster.restart(0)
      await put
      assert.equal((await etcd.get('key'))?.valueText, 'value')
      await assertAllCalls(etcd, uniquePrefix())
    })
  }
})

describe('nginx with grpc_pass and TLS on both sides', { skip: root instanceof Error ? root.message : false }, () => {
  const cluster = useCluster({ tls: true })

  for (const transport of transports) {
    test(`carries calls of every kind by ${transport}`, async (t) => {
      const { caFile, authority } = cluster.tls ?? assert.fail()
      assert.ok(typeof root === 'string' && authority !== undefined)
      const { certFile, keyFile } = cluster.tls?.clientCert('nginx') ?? assert.fail()
      const port = Number(new URL(memberAt(cluster, 0).clientUrl).port)
      const endpoint = await startNginxTls(t, root, port, { ca: caFile, certFile, keyFile })
      const etcd = createClient(t, { endpoints: [endpoint] }, { transport, tls: { ca: caFile } })
      await assertAllCalls(etcd, uniquePrefix())
      // nginx ends connections after a thousand calls.
      for (let batch = 0; batch < 15; batch += 1) {
        await Promise.all(Array.from({ length: 100 }, (_, index) => etcd.put(`many/${index}`, `${batch}`)))
      }
    })
  }
})
