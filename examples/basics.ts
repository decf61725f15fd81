/** Keys, values and transactions on one page: `npx tsx examples/basics.ts http://127.0.0.1:2379`. */
import { Etcd, get, json, key, put } from 'etcdkit'

await using etcd = new Etcd({ endpoints: process.argv[2] ?? 'http://127.0.0.1:2379' })

const { revision } = await etcd.put('basics/greeting', 'hello')
console.log(`written at revision ${revision}`)

const kv = await etcd.get('basics/greeting')
console.log(`${kv?.keyText} = ${kv?.valueText}, version ${kv?.version}`)

await etcd.put('basics/config', JSON.stringify({ port: 8080 }))
const config = (await etcd.get('basics/config'))?.as(json<{ port: number }>())
console.log(`the port is ${config?.port}`)

for await (const { keyText } of etcd.list({ prefix: 'basics/' })) console.log(`found ${keyText}`)

const { succeeded, responses } = await etcd
  .txn()
  .if(key('basics/owner').missing())
  .then(put('basics/owner', `process ${process.pid}`))
  .else(get('basics/owner'))
  .commit()
console.log(succeeded ? 'acquired' : `owned by ${responses[0]?.valueText}`)

const update = await etcd.update('basics/runs', (current) => String(Number(current?.valueText ?? 0) + 1))
console.log(`counted at revision ${update.revision}`)
