/** One process of a chaos run: makes calls of all kinds at once until the end, and writes down what it sees. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, isEtcdError } from '../../src/index.js'
import { randomFrom } from '../support/random.js'
import { type EndpointsMessage, Journal, now, type WorkerMessage, type WorkerTask } from './records.js'
import { accounts } from './workloads/accounts.js'
import { leases } from './workloads/leases.js'
import { locks } from './workloads/locks.js'
import { queue } from './workloads/queue.js'
import { reads } from './workloads/reads.js'
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

const positionEveryMs = 200

const task: WorkerTask = JSON.parse(process.env.CHAOS_TASK ?? '{}')
const journal = new Journal(task.file)
const random = randomFrom(task.seed * 1000 + task.worker)
const etcd = new Etcd({
  endpoints: task.endpoints,
  transport: task.transport,
  timeoutMs: 4000,
  ...(task.tls === undefined ? {} : { tls: task.tls }),
  ...(task.auth === undefined ? {} : { auth: task.auth }),
  ...(task.hasMemberSync ? { memberSync: { intervalMs: 1000 } } : {}),
})
process.on('message', ({ endpoints }: EndpointsMessage) => {
  if (!task.hasMemberSync) etcd.setEndpoints(endpoints)
})

async function repeat(workload: string, turn: () => Promise<void>): Promise<void> {
  while (now() < task.until) {
    try {
      await turn()
      journal.count(workload, 'ok')
    } catch (error) {
      noteFailure(workload, error)
    }
    await sleep(5 + random() * 15)
  }
}

/** Faults show as typed errors, and arguments were right. */
function noteFailure(workload: string, error: unknown): void {
  if (isEtcdError(error) && error.code !== 'INVALID_ARGUMENT' && error.code !== 'CLOSED') {
    journal.count(workload, error.effect, error.code)
  } else noteTrouble(workload, error)
}

function noteTrouble(workload: string, error: unknown): void {
  journal.write({ kind: 'trouble', workload, error: String((error as Error)?.stack ?? error) })
}

function send(message: WorkerMessage): void {
  process.send?.(message)
}

const workplace: Workplace = { task, etcd, journal, random, repeat }
const workloads = [registers, views, locks, queue, accounts, leases, singleWrites, reads]
let position = 0
const reporting = setInterval(() => send({ kind: 'position', revision: position }), positionEveryMs)
const following = watches(workplace, (revision) => {
  position = revision
}).catch((error) => noteTrouble('watch', error))
await Promise.all(workloads.map((workload) => workload(workplace).catch((error) => noteTrouble(workload.name, error))))
send({ kind: 'idle' })
await following
clearInterval(reporting)
await etcd.close()
await journal.end()
process.disconnect()
