/**
 * One process of a storm of locks: takes locks in many places at once, and writes down under each lock, guarded by it, when
 * it began and ended. Prints its report as one line of JSON. Its task is JSON in the environment.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, isEtcdError, type LockHandle, put } from '../../src/index.js'
import { randomFrom } from './random.js'

/** What a worker is to do. */
export interface LockTask {
  readonly endpoints: readonly string[]
  readonly seed: number
  readonly locks: number
  readonly contenders: number
  readonly holdMs: number
  readonly timeoutMs: number
  readonly ttlSeconds: number
  /** Ends after this number of acquisitions by each contender. */
  readonly turns?: number
  /** Ends at this time, on the clock of `Date.now()`. */
  readonly until?: number
  /** Writes down when each holder begins and ends. */
  readonly records: boolean
}

/** The outcome. */
export interface LockReport {
  acquired: number
  /** Whose both writes were made. */
  recorded: number
  /** Holders whose signal aborted, or whose guarded write was refused. */
  lost: number
  /** Holders whose write was refused although they still believed that they held the lock. */
  deceived: number
  timedOut: number
  longestWaitMs: number
  /** Everything else that went wrong. */
  errors: string[]
}

const { env } = process
const task: LockTask = JSON.parse(env.LOCK_TASK ?? '{}')
const report: LockReport = {
  acquired: 0,
  recorded: 0,
  lost: 0,
  deceived: 0,
  timedOut: 0,
  longestWaitMs: 0,
  errors: [],
}
const random = randomFrom(task.seed)
const etcd = new Etcd({ endpoints: task.endpoints })

/** Writes what the history is checked by. Resolves with whether the guard held; `undefined` where nobody knows. */
async function record(lock: LockHandle, what: 'begin' | 'end'): Promise<boolean | undefined> {
  const write = put(`history/${lock.name}`, `${what} ${lock.fence}`)
  try {
    return (await etcd.txn().if(lock.guard()).then(write).commit({ timeoutMs: 5000 })).succeeded
  } catch (error) {
    if (isEtcdError(error) && error.retryable) return undefined
    throw error
  }
}

async function hold(lock: LockHandle): Promise<void> {
  const hasBegun = task.records ? await record(lock, 'begin') : undefined
  await sleep(task.holdMs)
  const hasEnded = hasBegun === true ? await record(lock, 'end') : hasBegun
  if (hasEnded === true) report.recorded += 1
  if (hasEnded === false && lock.isHeld()) report.deceived += 1
  if (hasEnded === false || !lock.isHeld()) report.lost += 1
}

async function turn(name: string): Promise<void> {
  const askedAt = performance.now()
  try {
    const lock = await etcd.lock(name, { timeoutMs: task.timeoutMs, ttlSeconds: task.ttlSeconds })
    report.longestWaitMs = Math.max(report.longestWaitMs, performance.now() - askedAt)
    report.acquired += 1
    try {
      await hold(lock)
    } finally {
      await lock.release()
    }
  } catch (error) {
    if (isEtcdError(error, 'LOCK_TIMEOUT')) report.timedOut += 1
    // A write that was refused for the state of the cluster says nothing about locks.
    else if (!isEtcdError(error) || !error.retryable) report.errors.push(String(error))
  }
}

async function contend(index: number): Promise<void> {
  for (let count = 0; count < (task.turns ?? Number.POSITIVE_INFINITY); count += 1) {
    if (task.until !== undefined && Date.now() >= task.until) return
    const number = task.turns === undefined ? Math.floor(random() * task.locks) : (index + count) % task.locks
    await turn(`storm/${number}`)
  }
}

await etcd.connect()
await Promise.all(Array.from({ length: task.contenders }, (_, index) => contend(index)))
await etcd.close()
process.stdout.write(`${JSON.stringify(report)}\n`)
