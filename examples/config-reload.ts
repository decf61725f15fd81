/**
 * A service that reads its configuration from etcd and follows changes. It reports invalid values and keeps the last valid
 * one, and continues while the cluster is down: `npx tsx examples/config-reload.ts`.
 */
import { once } from 'node:events'
import { type Codec, Etcd, json } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'

const defaults = { connections: 10, timeoutMs: 5000 }
type Limits = Readonly<typeof defaults>

/** A codec that adds defaults and accepts only valid configurations. With zod, valibot or arktype: `json(schema)`. */
const limits: Codec<Limits> = {
  encode: json<Limits>().encode,
  decode(bytes) {
    const value = { ...defaults, ...json<Partial<Limits>>().decode(bytes) }
    if (!Number.isInteger(value.connections) || value.connections < 1) throw new Error('connections must be 1 or more')
    if (!Number.isInteger(value.timeoutMs)) throw new Error('timeoutMs must be an integer')
    return value
  },
}

await using cluster = await EtcdCluster.start()
await using etcd = new Etcd({ endpoints: cluster.endpoints })
await etcd.put('config/limits', '{"connections":10}')

await using config = etcd.informer({ key: 'config/limits' }, { codec: limits })
let current: Limits = defaults
const applied = new EventTarget()
config.on('change', ({ value, revision }) => {
  current = value ?? defaults // deleted: the defaults
  console.log(`connections: ${current.connections}, timeoutMs: ${current.timeoutMs} (revision ${revision})`)
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
