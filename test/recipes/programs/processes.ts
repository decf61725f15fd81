import cluster from 'node:cluster'
import { once } from 'node:events'
import { Etcd } from 'etcdkit'

const etcd = new Etcd({ endpoints: String(process.env.ENDPOINTS) })
const workers = 3
const visits = 20

if (cluster.isPrimary) {
  await etcd.put('visits', '0')
  const processes = Array.from({ length: workers }, () => cluster.fork())
  await Promise.all(processes.map((process) => once(process, 'exit')))
  console.log((await etcd.get('visits'))?.valueText)
} else {
  const visit = () => etcd.update('visits', (kv) => String(Number(kv?.valueText) + 1), { maxAttempts: 1000 })
  for (let made = 0; made < visits; made += 1) await visit()
  cluster.worker?.disconnect()
}
await etcd.close()
