/**
 * A fleet of clients on three members, each with a login, an informer, a registration with a lease, and a lock that it shares
 * with others. The members die, restart, forget their tokens and compact their history. Measured from the members' metrics:
 * the most calls and connections in any second, the time until all clients are well again, and the CPU of both sides.
 *
 *     npm run bench:fleet -- [--clients 300] [--processes 4] [--keys 2000] [--etcd 3.5.30] [--transport grpc-js]
 *         [--bcrypt-cost 4] [--only started,quiet] [--json FILE]
 *
 * Each client has its own user: clients of one user in one process share a login, those of a real fleet are in many processes.
 * With etcd's own cost of 10, a login takes 60 ms of a member's CPU: 300 of them take two cores for some ten seconds.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Etcd, isEtcdError, put } from '../src/index.js'
import { EtcdCluster } from '../src/testing/index.js'
import { type CounterName, MemberLoad, type PhaseLoad } from './fleet-load.js'
import type { WellAnswer, WellQuestion, WorkerTask } from './fleet-worker.js'

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '300' },
    processes: { type: 'string', default: '4' },
    keys: { type: 'string', default: '2000' },
    etcd: { type: 'string' },
    transport: { type: 'string', default: 'http2' },
    'bcrypt-cost': { type: 'string', default: '4' },
    only: { type: 'string' },
    json: { type: 'string' },
  },
})
const clientCount = Number(values.clients)
const processCount = Number(values.processes)
const keyCount = Number(values.keys)
const only = values.only?.split(',')

const password = 'fleet-password'
/** Longer than renewals of leases are apart, which use the tokens. */
const tokenTtlSeconds = 8
const leaseTtlSeconds = 20
const clientsPerLock = 10
/** How long a phase lasts after all clients are well: what follows a recovery belongs to it. */
const tailMs = 4000
const maxWaitMs = 60_000

interface Phase {
  readonly name: string
  readonly load: PhaseLoad
  readonly informersMs: number
  readonly leasesMs: number
  readonly locksMs: number
  readonly clientCpuSeconds: number
  readonly failures: Readonly<Record<string, number>>
  readonly leasesLost: number
  readonly resyncs: number
}

await using cluster = await EtcdCluster.start({
  members: 3,
  version: values.etcd,
  timers: 'default',
  auth: { rootPassword: password },
  flags: { 'auth-token-ttl': tokenTtlSeconds, 'bcrypt-cost': Number(values['bcrypt-cost']) },
})
await using root = new Etcd({ endpoints: cluster.endpoints, auth: { username: 'root', password }, timeoutMs: 30_000 })
const phases: Phase[] = []
let workers: readonly ChildProcess[] = []
let questions = 0
/** The answers at the end of the phase before. */
let before: readonly WellAnswer[] = []

/** Makes `count` calls, some at a time. */
async function inParallel(count: number, call: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const work = async (): Promise<void> => {
    while (next < count) await call(next++)
  }
  await Promise.all(Array.from({ length: 8 }, work))
}

async function prepare(): Promise<void> {
  const { users, roles } = root.auth
  await roles.add('fleet')
  await roles.grant('fleet', 'readwrite', { prefix: 'fleet/' })
  await inParallel(clientCount, async (index) => {
    await users.add(`client-${index}`, password)
    await users.grantRole(`client-${index}`, 'fleet')
  })
  await writeConfig('first')
}

/** Writes every key that the informers follow. */
async function writeConfig(version: string): Promise<number> {
  let revision = 0
  await inParallel(Math.ceil(keyCount / 100), async (page) => {
    const value = `${version} `.padEnd(200, 'v')
    const keys = Array.from({ length: Math.min(100, keyCount - page * 100) }, (_, index) => page * 100 + index)
    const result = await root
      .txn()
      .then(...keys.map((key) => put(`fleet/config/${String(key).padStart(6, '0')}`, value)))
      .commit()
    revision = Math.max(revision, result.revision)
  })
  return revision
}

function startWorkers(): void {
  const { endpoints } = cluster
  const transport = values.transport === 'grpc-js' ? 'grpc-js' : 'http2'
  const each = Math.ceil(clientCount / processCount / clientsPerLock) * clientsPerLock
  const tasks: WorkerTask[] = []
  for (let first = 0; first < clientCount; first += each) {
    const count = Math.min(each, clientCount - first)
    tasks.push({ endpoints, transport, first, count, password, leaseTtlSeconds, clientsPerLock })
  }
  const env = { ...process.env, NODE_NO_WARNINGS: '1' }
  workers = tasks.map((task) =>
    fork(`${import.meta.dirname}/fleet-worker.ts`, [JSON.stringify(task)], { env, serialization: 'advanced' }),
  )
}

function signalAll(signal: NodeJS.Signals): void {
  for (const worker of workers) worker.kill(signal)
}

async function restartAll(): Promise<void> {
  await Promise.all(cluster.members.map((_, index) => cluster.kill(index)))
  await Promise.all(cluster.members.map((_, index) => cluster.restart(index)))
  await cluster.healthy()
}

async function compactAll(): Promise<void> {
  const revision = await writeConfig('compacted')
  await root.compact(revision).catch((error: unknown) => {
    if (!isEtcdError(error, 'COMPACTED')) throw error
  })
}

function ask(worker: ChildProcess, question: WellQuestion): Promise<WellAnswer> {
  const answered = new Promise<WellAnswer>((resolve) => {
    const listen = (answer: WellAnswer): void => {
      if (answer.id !== question.id) return
      worker.off('message', listen)
      resolve(answer)
    }
    worker.on('message', listen)
  })
  worker.send(question)
  return answered
}

/** Writes it until that succeeds: it may be written twice. */
async function writeCanary(canary: string): Promise<void> {
  for (const until = performance.now() + maxWaitMs; ; ) {
    try {
      await root.put('fleet/config/canary', canary)
      return
    } catch (error) {
      if (performance.now() > until) throw error
      await sleep(100)
    }
  }
}

async function answers(): Promise<readonly WellAnswer[]> {
  questions += 1
  const canary = `canary ${questions}`
  const question = { id: questions, canary, maxWaitMs }
  const answering = Promise.all(workers.map((worker) => ask(worker, question)))
  await writeCanary(canary)
  return answering
}

function total(answered: readonly WellAnswer[], value: (answer: WellAnswer) => number): number {
  return answered.reduce((sum, answer) => sum + value(answer), 0)
}

function latest(answered: readonly WellAnswer[], value: (answer: WellAnswer) => number): number {
  return Math.max(...answered.map(value))
}

/** Makes something happen, and measures until all clients are well, and for a while after that. */
async function phase(name: string, event: () => Promise<void> | void, quietMs = tailMs): Promise<void> {
  const startedAt = performance.now()
  await event()
  const well = await answers()
  await sleep(quietMs)
  const after = await answers()
  const more = (value: (answer: WellAnswer) => number): number => total(after, value) - total(before, value)
  const result: Phase = {
    name,
    load: metrics.between(startedAt, performance.now()),
    informersMs: latest(well, ({ informersMs }) => informersMs),
    leasesMs: latest(well, ({ leasesMs }) => leasesMs),
    locksMs: latest(well, ({ locksMs }) => locksMs),
    clientCpuSeconds: more(({ cpuSeconds }) => cpuSeconds),
    failures: failuresSince(before, after),
    leasesLost: more(({ leasesLost }) => leasesLost),
    resyncs: more(({ resyncs }) => resyncs),
  }
  before = after
  phases.push(result)
  print(result)
}

/** The errors of calls between two rounds of answers, by code. */
function failuresSince(earlier: readonly WellAnswer[], later: readonly WellAnswer[]): Readonly<Record<string, number>> {
  const codes = new Set(later.flatMap(({ failures }) => Object.keys(failures)))
  const counts = [...codes].map((code): [string, number] => {
    const count = (answers: readonly WellAnswer[]): number => total(answers, ({ failures }) => failures[code] ?? 0)
    return [code, count(later) - count(earlier)]
  })
  return Object.fromEntries(counts.filter(([, count]) => count > 0))
}

const columns: readonly CounterName[] = [
  'accepts',
  'connects',
  'Status',
  'Authenticate',
  'Range',
  'Txn',
  'Watch',
  'LeaseGrant',
  'KeepAlive',
]

function heading(): void {
  console.log(
    '\nthe most in any second / all of the phase; seconds until the last informer, lease and lock queue is well',
  )
  const cells = columns.map((name) => name.padStart(13)).join('')
  console.log(`${'phase'.padEnd(22)}${cells}   informers  leases   locks   member CPU  client CPU  seconds`)
}

function print(phase: Phase): void {
  const { name, load, informersMs, leasesMs, locksMs, clientCpuSeconds, failures, leasesLost, resyncs } = phase
  const cells = columns.map((column) =>
    `${load.peaks[column].toFixed(0)}/${load.totals[column].toFixed(0)}`.padStart(13),
  )
  const times = [informersMs, leasesMs, locksMs].map((ms) =>
    (ms === Number.POSITIVE_INFINITY ? `>${maxWaitMs / 1000}` : (ms / 1000).toFixed(1)).padStart(8),
  )
  const cpu = `${load.totals.cpu.toFixed(1).padStart(9)} s ${clientCpuSeconds.toFixed(1).padStart(9)} s`
  console.log(
    `${name.padEnd(22)}${cells.join('')}    ${times.join('')}   ${cpu}  ${load.seconds.toFixed(1).padStart(7)}`,
  )
  const notes = [
    ...Object.entries(failures).map(([code, count]) => `${count} ${code}`),
    ...(leasesLost > 0 ? [`${leasesLost} leases lost`] : []),
    ...(resyncs > 0 ? [`${resyncs} informers listed again`] : []),
  ]
  const { rssBytes, openFiles, watchers } = load.gauges
  notes.push(`members: ${(rssBytes / 2 ** 20).toFixed(0)} MiB, ${openFiles} open files, ${watchers} watchers`)
  console.log(`${''.padEnd(22)}  ${notes.join(', ')}`)
}

let leader = 0
const events: readonly { readonly name: string; readonly run: () => Promise<void> }[] = [
  { name: 'quiet', run: () => phase('quiet', () => {}, 10_000) },
  {
    name: 'leader',
    run: async () => {
      leader = await cluster.leader()
      await phase('leader dies', () => cluster.kill(leader))
      await phase('it returns', () => cluster.restart(leader))
    },
  },
  { name: 'restart', run: () => phase('cluster restarted', restartAll) },
  {
    name: 'tokens',
    run: () =>
      phase('tokens expire', async () => {
        signalAll('SIGSTOP')
        await sleep((tokenTtlSeconds + 2) * 1000)
        signalAll('SIGCONT')
      }),
  },
  { name: 'compacted', run: () => phase('compacted', compactAll) },
  {
    name: 'away',
    run: () =>
      phase('compacted while away', async () => {
        signalAll('SIGSTOP')
        await restartAll()
        await compactAll()
        signalAll('SIGCONT')
      }),
  },
]

console.log(
  `etcd ${cluster.version}, ${clientCount} clients in ${processCount} processes, ${keyCount} keys in each informer`,
)
await prepare()
await using metrics = Object.assign(new MemberLoad(cluster), {
  [Symbol.asyncDispose]: (): Promise<void> => metrics.stop(),
})
await sleep(500)
heading()
await phase('started', async () => {
  startWorkers()
  await Promise.all(workers.map((worker) => once(worker, 'message')))
})
for (const { name, run } of events) if (only === undefined || only.includes(name)) await run()
for (const worker of workers) worker.kill('SIGKILL')
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(phases, null, 2)}\n`)
