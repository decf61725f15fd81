import { once } from 'node:events'
import { isMainThread, Worker } from 'node:worker_threads'
import { Etcd } from 'etcdkit'

const etcd = new Etcd({ endpoints: String(process.env.ENDPOINTS) })
const workers = 3
const visits = 20

if (isMainThread) {
  await etcd.put('visits', '0')
  const threads = Array.from({ length: workers }, () => new Worker(new URL(import.meta.url)))
  await Promise.all(threads.map((thread) => once(thread, 'exit')))
  console.log((await etcd.get('visits'))?.valueText)
} else {
  for (let visit = 0; visit < visits; visit += 1) {
    await etcd.withLock('locks/visits', async () => {
      const count = Number((await etcd.get('visits'))?.valueText)
      await etcd.put('visits', String(count + 1))
    })
  }
}
await etcd.close()
