/**
 * A job queue that runs each job at least once, even if its worker dies, and at most two jobs at a time over all workers:
 * `npx tsx examples/job-queue.ts`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { deleteKey, Etcd, isEtcdError, put } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'
import { WorkQueue } from 'etcdkit/workqueue'

await using cluster = await EtcdCluster.start({ members: 3 })
await using etcd = new Etcd({ endpoints: cluster.endpoints })

// A job is a key that exists until the job is done.
for (let id = 1; id <= 8; id += 1) await etcd.put(`jobs/${id}`, `mail ${id}`)

/** A worker; in production a separate process. It learns about jobs from an informer. Returns a function that stops it. */
async function startWorker(name: string, diesWith?: string): Promise<() => Promise<void>> {
  const client = new Etcd({ endpoints: cluster.endpoints })
  const jobs = client.informer({ prefix: 'jobs/' })
  const rate = client.semaphore('rates/mails', 2) // shared by all workers

  const work = async (key: string): Promise<void> => {
    if (jobs.get(key) === undefined) return // already done
    await using lock = await client.tryLock(`locks/${key}`, { ttlSeconds: 5, value: name })
    const job = await client.get(key) // the informer may lag slightly
    if (job === undefined) return
    await using _permit = await rate.acquire({ ttlSeconds: 5 })
    await sleep(200) // sends the mail
    if (key === diesWith) return die(key)
    // The guard fails if another worker holds the lock by now. Until this commit, the job may be run again.
    const { succeeded } = await client
      .txn()
      .if(lock.guard())
      .then(deleteKey(key), put(`done/${job.valueText}`, name))
      .commit()
    if (succeeded) console.log(`${name} finished ${key}`)
  }
  const die = async (key: string): Promise<void> => {
    console.log(`${name} dies with ${key}`)
    void queue.close()
    await client.close()
  }
  // A job locked by another worker is retried later, because that worker may die.
  const onError = (error: unknown, key: string): void => {
    if (!isEtcdError(error, 'LOCK_UNAVAILABLE')) console.log(`${name} failed ${key}: ${error}`)
  }
  const queue = new WorkQueue(work, { concurrency: 2, minRetryMs: 100, maxRetryMs: 500, onError })
  jobs.on('add', ({ keyText }) => queue.add(keyText))
  await jobs.ready()
  return async () => {
    await queue.close()
    await client.close()
  }
}

const stops = await Promise.all([startWorker('worker-0', 'jobs/2'), startWorker('worker-1')])
while ((await etcd.count({ prefix: 'jobs/' })) > 0) await sleep(100)
for (const stop of stops) await stop()
console.log(`${await etcd.count({ prefix: 'done/' })} jobs are done`)
