import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { ClientOptions } from '../../src/index.js'
import type { Contender, Target } from './contender.js'

const built = pathToFileURL(join(import.meta.dirname, '../../dist/index.mjs'))
const { Etcd }: typeof import('../../src/index.js') = await import(built.href)

/** This library as it is published: what `npm run build` has made. */
export function ours({ endpoints, ca, auth }: Target, options: ClientOptions = {}): Contender {
  const etcd = new Etcd({ endpoints, auth, ...(ca === undefined ? {} : { tls: { ca } }), ...options })
  return {
    get: (key) => etcd.get(key),
    put: (key, value) => etcd.put(key, value),
    async list(prefix) {
      let count = 0
      for await (const _ of etcd.list({ prefix })) count += 1
      return count
    },
    async watch(prefix, startRevision, count) {
      let left = count
      for await (const _ of etcd.watch({ prefix }, { startRevision })) {
        left -= 1
        if (left === 0) return
      }
    },
    withLock: (name, work) => etcd.withLock(name, { ttlSeconds: 60, timeoutMs: 600_000 }, work),
    async follow(prefix) {
      const informer = etcd.informer({ prefix })
      await informer.ready()
      return (key) => informer.get(key)
    },
    close: () => etcd.close(),
  }
}
