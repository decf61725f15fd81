/**
 * A cron job on several hosts: each slot is run once, by the host that acquires the lock, or by another host if that one
 * dies first: `npx tsx examples/cron.ts`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, isEtcdError, put } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'

const [everyMs, slots] = [200, 5]

await using cluster = await EtcdCluster.start({ members: 3 })
await using observer = new Etcd({ endpoints: cluster.endpoints })
const first = Math.ceil(Date.now() / everyMs) + 2
let hasOneDied = false

/** A host; in production a separate process. */
class Host {
  readonly name: string
  readonly #etcd = new Etcd({ endpoints: cluster.endpoints })
  #isDead = false

  constructor(name: string) {
    this.name = name
  }

  /** Waits for each slot by the local clock, and runs it unless another host already has. */
  async run(): Promise<void> {
    for (let slot = first; slot < first + slots && !this.#isDead; slot += 1) {
      await sleep(Math.max(0, slot * everyMs - Date.now()))
      await this.#runSlot(slot).catch((error: unknown) => {
        console.log(`slot ${slot - first}: ${this.name} stopped, ${isEtcdError(error) ? error.code : error}`)
      })
    }
    await this.#etcd.close()
  }

  #runSlot(slot: number): Promise<void> {
    return this.#etcd.withLock('locks/report', { ttlSeconds: 5, value: this.name }, async (lock) => {
      const last = Number((await this.#etcd.get('cron/report'))?.valueText ?? 0)
      if (last >= slot) return
      if (slot === first + 2 && !hasOneDied) await this.#die()
      // The guard fails if another host holds the lock by now, even if this process was suspended.
      const report = put(`reports/${slot}`, `by ${this.name}, fence ${lock.fence}`)
      const done = put('cron/report', String(slot))
      const { succeeded } = await this.#etcd.txn().if(lock.guard()).then(done, report).commit()
      if (succeeded) console.log(`slot ${slot - first}: run by ${this.name}, fence ${lock.fence}`)
    })
  }

  /** `close()` releases its locks immediately; those of a killed process expire after their TTL. */
  async #die(): Promise<void> {
    hasOneDied = true
    this.#isDead = true
    await this.#etcd.close()
  }
}

await Promise.all(['host-0', 'host-1', 'host-2'].map((name) => new Host(name).run()))
console.log(`${await observer.count({ prefix: 'reports/' })} reports for ${slots} slots`)
