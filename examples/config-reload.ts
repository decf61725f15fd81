/**
 * A service that takes its configuration from etcd and follows it while it runs; a value that is wrong is reported, and the
 * last good one stays in use. The service goes on while the cluster is away: `npx tsx examples/config-reload.ts`.
 */
import { once } from 'node:events'
import { Etcd, json } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'

interface Limits {
  readonly connections: number
}

/** A codec that accepts what the service can work with, and nothing else. */
const limits = {
  encode: json<Limits>().encode,
  decode(bytes: Buffer): Limits {
    const value = json<Limits>().decode(bytes)
    if (!Number.isInteger(value.connections) || value.connections < 1) throw new Error('connections must be 1 or more')
    return value
  },
}

await using cluster = await EtcdCluster.start()
await using etcd = new Etcd({ endpoints: cluster.endpoints })
await etcd.put('config/limits', '{"connections":10}')

await using config = etcd.informer({ key: 'config/limits' }, { codec: limits })
let current: Limits = { connections: 1 }
const applied = new EventTarget()
config.on('change', ({ value, revision }) => {
  if (value === undefined) return // deleted: the last one stays
  current = value
  console.log(`connections: ${current.connections} (revision ${revision})`)
  applied.dispatchEvent(new Event('applied'))
})
config.on('invalid', ({ keyText, value, error }) => {
  console.log(`${keyText} = ${value}: ${error instanceof Error ? error.message : error}; kept ${current.connections}`)
  applied.dispatchEvent(new Event('applied'))
})

const first = once(applied, 'applied')
await config.ready()
await first

for (const text of ['{"connections":50}', '{"connections":"many"}', '{"connections":80}']) {
  const next = once(applied, 'applied')
  await etcd.put('config/limits', text)
  await next
}

await cluster.kill(0)
console.log(`the cluster is down, and the service works on with ${current.connections}`)
await cluster.restart(0)
const next = once(applied, 'applied')
await etcd.put('config/limits', '{"connections":100}')
await next
