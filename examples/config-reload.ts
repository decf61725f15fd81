/**
 * A service that reads its configuration from etcd and follows changes. It reports invalid values and keeps the last valid
 * one, and continues while the cluster is down: `npx tsx examples/config-reload.ts`.
 */
import { once } from 'node:events'
import { Etcd, json } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'

interface Limits {
  readonly connections: number
}

/** A codec that only accepts valid configurations. */
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
  if (value === undefined) return // deleted: keep the last value
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
console.log(`the cluster is down, the service continues with ${current.connections}`)
await cluster.restart(0)
const next = once(applied, 'applied')
await etcd.put('config/limits', '{"connections":100}')
await next
