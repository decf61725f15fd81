/** One process of a chaos run: makes calls of all kinds at once until the end, and writes down what it sees. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, type EtcdError, isEtcdError } from '../../src/index.js'
import { randomFrom } from '../support/random.js'
import { Journal, now, type WorkerTask } from './records.js'
import { accounts } from './workloads/accounts.js'
import { leases } from './workloads/leases.js'
import { locks } from './workloads/locks.js'
import { queue } from './workloads/queue.js'
import { registers } from './workloads/registers.js'
import { singleWrites } from './workloads/single-writes.js'
import { views } from './workloads/views.js'
import { watches } from './workloads/watches.js'

/** What a workload works with. */
export interface Workplace {
  readonly task: WorkerTask
  readonly etcd: Etcd
  readonly journal: Journal
  readonly random: () => number
  /** Repeats a turn until the end; a failure that no client should see goes to the journal. */
  repeat(workload: string, turn: () => Promise<void>): Promise<void>
}

const task: WorkerTask = JSON.parse(process.env.CHAOS_TASK ?? '{}')
const journal = new Journal(task.file)
const random = randomFrom(task.seed * 1000 + task.worker)
const etcd = new Etcd({
  endpoints: task.endpoints,
  transport: task.transport,
  timeoutMs: 4000,
  ...(task.caFile === undefined ? {} : { tls: { ca: readFileSync(task.caFile) } }),
  ...(task.rootPassword === undefined ? {} : { auth: { username: 'root', password: task.rootPassword } }),
})

async function repeat(workload: string, turn: () => Promise<void>): Promise<void> {
  while (now() < task.until) {
    try {
      await turn()
      journal.count(`${workload} ok`)
    } catch (error) {
      if (isExpected(error)) journal.count(`${workload} ${error.code} ${error.effect}`)
      else journal.write({ kind: 'trouble', workload, error: String((error as Error)?.stack ?? error) })
    }
    await sleep(5 + random() * 15)
  }
}

/** Faults show as typed errors, and arguments were right. */
function isExpected(error: unknown): error is EtcdError {
  return isEtcdError(error) && error.code !== 'INVALID_ARGUMENT' && error.code !== 'CLOSED'
}

const workplace: Workplace = { task, etcd, journal, random, repeat }
const workloads = [registers, watches, views, locks, queue, accounts, leases, singleWrites]
await Promise.all(workloads.map((workload) => workload(workplace)))
await etcd.close()
await journal.end()
