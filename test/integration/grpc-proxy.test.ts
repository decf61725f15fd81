import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startCluster } from '../support/cluster.js'
import { createClient } from '../support/fixtures.js'
import { startGrpcProxy } from '../support/grpc-proxy.js'

describe("etcd's gRPC proxy, which assigns its own watch IDs", () => {
  test('delivers to each watch its own events only', async (t) => {
    const cluster = await startCluster(t)
    const direct = createClient(t, cluster)
    const etcd = createClient(t, { endpoints: [await startGrpcProxy(t, cluster)] })
    await etcd.connect({ timeoutMs: 15_000 })
    const names = Array.from({ length: 30 }, (_, index) => `key-${index}`)
    const watchers = names.map((name) => etcd.watch(name))
    // Some are left while they are made: what the proxy calls them is not known then.
    for (let index = 0; index < names.length; index += 3) await watchers[index]?.close()
    const stay = names.flatMap((name, index) => {
      const watcher = watchers[index]
      return watcher === undefined || index % 3 === 0 ? [] : [{ name, watcher }]
    })
    await Promise.all(stay.map(({ watcher }) => watcher.ready()))
    for (const value of ['1', '2']) for (const name of names) await direct.put(name, value)
    for (const { name, watcher } of stay) {
      const received: string[] = []
      for await (const { keyText, valueText } of watcher) {
        received.push(`${keyText} ${valueText}`)
        if (valueText === '2') break
      }
      assert.deepEqual(received, [`${name} 1`, `${name} 2`])
    }
    await using informer = etcd.informer({ prefix: 'key-' })
    await informer.ready()
    const { revision } = await direct.put('key-0', '3')
    await informer.waitForRevision(revision)
    assert.equal(informer.get('key-0'), '3')
  })
})
