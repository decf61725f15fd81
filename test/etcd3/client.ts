import type { TestContext } from 'node:test'
import { Etcd3, type IOptions } from '../../src/etcd3/index.js'
import type { EtcdCluster } from '../../src/testing/index.js'

/** A client of the cluster that closes itself after the test. */
export function createEtcd3(t: TestContext, cluster: EtcdCluster, options: Partial<IOptions> = {}): Etcd3 {
  const client = new Etcd3({ hosts: cluster.endpoints, ...options })
  t.after(() => client.close())
  return client
}

/** Resolves with what the next event of this name comes with. */
export function nextEvent(
  emitter: { once(event: string, listener: (payload: unknown) => void): unknown },
  event: string,
) {
  return new Promise<unknown>((resolve) => {
    emitter.once(event, resolve)
  })
}
