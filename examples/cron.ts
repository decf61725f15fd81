/**
 * A cron for several hosts: each slot is run once, by whichever host gets the lock, and by another one if that host dies
 * before it is done: `npx tsx examples/cron.ts`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, isEtcdError, put } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'

const [everyMs, slots] = [200, 5]

await using cluster = await EtcdCluster.start({ members: 3 })
await using observer = new Etcd({ endpoints: cluster.endpoints })
const first = Math.ceil(Date.now() / everyMs) + 2
let hasOneDied = false

/** A host, in production a process of its own. */
class Host {
  readonly name: string
  readonly #etcd = new Etcd({ endpoints: cluster.endpoints })
  #isDead = false

  constructor(name: string) {
    this.name = name
  }

  /** Waits for the time of each slot, by its own clock, and runs it unless another host has. */
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
      // Only while nobody else has come to hold the lock: also if this host was stopped until now.
      const report = put(`reports/${slot}`, `by ${this.name}, fence ${lock.fence}`)
      const done = put('cron/report', String(slot))
      const { succeeded } = await this.#etcd.txn().if(lock.guard()).then(done, report).commit()
      if (succeeded) console.log(`slot ${slot - first}: run by ${this.name}, fence ${lock.fence}`)
    })
  }

  /** Its locks are free at once; those of a process that is killed, when their time is over. */
  async #die(): Promise<void> {
    hasOneDied = true
    this.#isDead = true
    await this.#etcd.close()
  }
}

await Promise.all(['host-0', 'host-1', 'host-2'].map((name) => new Host(name).run()))
console.log(`${await observer.count({ prefix: 'reports/' })} reports for ${slots} slots`)
