import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isEtcdError } from '../../src/index.js'
import { assertAllCalls } from '../support/all-calls.js'
import { startCluster, useCluster } from '../support/cluster.js'
import { memberAt } from '../support/cluster-view.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'
import { startProxy, webServersRoot } from '../support/http2-proxies.js'
import { transports } from './transports.js'

const root = await webServersRoot()
const skip = root instanceof Error ? root.message : false

const portOf = (cluster: ReturnType<typeof useCluster>): number => Number(new URL(memberAt(cluster, 0).clientUrl).port)

/** Node's HTTP/2, which grpc-js uses, ends a connection to Apache after about a thousand calls: it counts frames for ended streams as invalid. */
function assertDoneOrLost(result: PromiseSettledResult<unknown>, transport: (typeof transports)[number]): void {
  if (result.status === 'fulfilled') return
  if (transport === 'http2') throw result.reason
  assert.ok(isEtcdError(result.reason, 'CONNECTION_LOST'), String(result.reason))
  assert.equal(result.reason.effect, 'unknown')
}

describe('Apache with mod_proxy_http2', { skip, concurrency: true }, () => {
  const cluster = useCluster()

  for (const transport of transports) {
    test(`carries calls of every kind by ${transport}`, async (t) => {
      assert.ok(typeof root === 'string')
      const endpoint = await startProxy(t, root, 'apache', portOf(cluster))
      const etcd = createClient(t, { endpoints: [endpoint] }, { transport })
      await assertAllCalls(etcd, uniquePrefix())
      for (let batch = 0; batch < 15; batch += 1) {
        const puts = Array.from({ length: 100 }, (_, index) => etcd.put(`many/${index}`, `${batch}`))
        for (const result of await Promise.allSettled(puts)) assertDoneOrLost(result, transport)
      }
      assert.ok(await etcd.get('many/0'))
    })

    test(`fails calls without effect while the member is down, and goes on when it is back, by ${transport}`, async (t) => {
      assert.ok(typeof root === 'string')
      const own = await startCluster(t)
      const endpoint = await startProxy(t, root, 'apache', portOf(own))
      await own.kill(0)
      const etcd = createClient(t, { endpoints: [endpoint] }, { transport })
      for (const call of [() => etcd.put('key', '', { timeoutMs: 1500 }), () => etcd.get('key', { timeoutMs: 1500 })]) {
        await assert.rejects(call(), {
          code: 'NOT_CONNECTED',
          effect: 'none',
          message: /Received HTTP status code 50\d/,
        })
      }
      const put = etcd.put('key', 'value', { timeoutMs: 20_000 })
      await own.restart(0)
      await put
      assert.equal((await etcd.get('key'))?.valueText, 'value')
      await assertAllCalls(etcd, uniquePrefix())
    })
  }
})

describe('h2o, which has HTTP/1.1 for the member', { skip, concurrency: true }, () => {
  const cluster = useCluster()

  for (const transport of transports) {
    test(`fails calls without effect, names its answer and writes nothing, by ${transport}`, async (t) => {
      assert.ok(typeof root === 'string')
      const endpoint = await startProxy(t, root, 'h2o', portOf(cluster))
      const etcd = createClient(t, { endpoints: [endpoint] }, { transport })
      const key = uniquePrefix()
      for (const call of [
        () => etcd.put(key, '', { timeoutMs: 1500 }),
        () => etcd.get(key, { timeoutMs: 1500 }),
        () => etcd.lease.grant(10, { timeoutMs: 1500 }),
        () => etcd.connect({ timeoutMs: 1500 }),
      ]) {
        await assert.rejects(call(), { code: 'NOT_CONNECTED', effect: 'none', message: /HTTP status code 404/ })
      }
      const direct = createClient(t, cluster, { transport })
      assert.equal(await direct.get(key), undefined)
    })
  }
})
