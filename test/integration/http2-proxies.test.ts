import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isEtcdError } from '../../src/index.js'
import { useCluster } from '../support/cluster.js'
import { memberAt } from '../support/cluster-view.js'
import { createClient } from '../support/fixtures.js'
import { proxiesRoot, proxyNames, startProxy } from '../support/http2-proxies.js'

const root = await proxiesRoot()

describe('The HTTP/2 transport', { skip: root instanceof Error ? root.message : false }, () => {
  const cluster = useCluster()

  for (const name of proxyNames) {
    test(`works through ${name} in front of a member`, async (t) => {
      assert.ok(typeof root === 'string')
      const port = Number(new URL(memberAt(cluster, 0).clientUrl).port)
      const endpoint = await startProxy(t, root, name, port)
      const etcd = createClient(t, { endpoints: [endpoint] }, { transport: 'http2', batching: { reads: false } })
      const prefix = `${name}/`
      const watcher = etcd.watch({ prefix })
      await watcher.ready()
      // nginx ends connections after a thousand calls.
      const keys = Array.from({ length: 700 }, (_, index) => `${prefix}${index}`)
      await Promise.all(keys.map((key) => etcd.put(key, key)))
      const values = await Promise.all(keys.map((key) => etcd.get(key)))
      assert.deepEqual(
        values.map((kv) => kv?.valueText),
        keys,
      )
      const seen = new Set<string>()
      for await (const event of watcher) {
        seen.add(event.kv.keyText)
        if (seen.size === keys.length) break
      }
      const large = Buffer.alloc(1_000_000, name)
      await Promise.all([0, 1, 2].map((index) => etcd.put(`${prefix}large/${index}`, large)))
      const { kvs } = await etcd.range({ prefix: `${prefix}large/` })
      assert.deepEqual(
        kvs.map((kv) => kv.value.equals(large)),
        [true, true, true],
      )
      await assert.rejects(etcd.get('key', { revision: 1_000_000 }), (error) => isEtcdError(error, 'FUTURE_REVISION'))
      const lease = await etcd.lease.grant(5)
      await etcd.put(`${prefix}leased`, 'value', { lease: lease.id })
      await lease.revoke()
      assert.equal(await etcd.get(`${prefix}leased`), undefined)
    })
  }
})
