import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EtcdCluster, type EtcdClusterOptions, poll } from '../../src/testing/index.js'
import { randomFrom } from '../support/random.js'
import { checkers } from './checkers/checkers.js'
import { type Disturbance, type FaultTarget, makeFaults } from './faults.js'
import { Recorder } from './recorder.js'
import { type ChaosRecord, now, readRecords, type WorkerTask } from './records.js'
import { FaultLog, operationLines } from './report.js'
import { WorkerProcess } from './worker-process.js'

export interface ChaosSettings {
  readonly seconds: number
  readonly seed: number
  readonly members: number
  readonly processes: number
  readonly etcd: string | undefined
  readonly transport: 'http2' | 'grpc-js'
  readonly auth: boolean
  readonly tls: boolean
  /** Further flags of the members. */
  readonly flags?: EtcdClusterOptions['flags']
  /** For the files of the workers. */
  readonly folder: string
  readonly log: (line: string) => void
}

const rootPassword = 'chaos'
const workerUser = { username: 'worker', password: 'calm' }
const endKey = 'end'
/** Every call has a deadline of a few seconds: none lasts as long as this, however busy the machine is. */
const hangMs = 60_000

/**
 * Runs the workers and the faults, or another disturbance, and returns what the checkers found. What they judged stays in the
 * folder, with the times of the faults and the logs of the members.
 */
export async function runChaos(settings: ChaosSettings, disturb: Disturbance = makeFaults): Promise<readonly string[]> {
  const { log, seed, members, tls, auth, etcd } = settings
  await using cluster = await EtcdCluster.start({
    members,
    proxy: true,
    tls: tls && { clientCertAuth: true },
    version: etcd,
    timers: 'default',
    flags: { ...(auth ? { 'auth-token-ttl': '5' } : {}), ...settings.flags },
    ...(auth ? { auth: { rootPassword } } : {}),
  })
  if (auth) await addWorkerUser(cluster)
  log(`seed ${seed}: ${members} members of etcd ${cluster.version}, ${settings.seconds} s, ${settings.transport}`)
  const recorder = new Recorder(cluster, auth ? rootPassword : undefined)
  const faults = new FaultLog()
  try {
    const problems = await workAndDisturb(settings, { cluster, recorder, faults }, disturb)
    const records = Array.from({ length: settings.processes }, (_, worker) => readRecords(fileOf(settings, worker)))
    return [...problems, ...judge(settings, recorder, records.flat())]
  } finally {
    recorder.stop()
    const file = (name: string): string => join(settings.folder, name)
    writeFileSync(file('history.json'), JSON.stringify(recorder.events))
    writeFileSync(file('faults.json'), JSON.stringify(faults.times, null, 1))
    writeFileSync(file('members.log'), cluster.logs())
  }
}

interface Scene {
  readonly cluster: EtcdCluster
  readonly recorder: Recorder
  readonly faults: FaultLog
}

/** Returns what went wrong with the workers themselves. */
async function workAndDisturb(
  settings: ChaosSettings,
  { cluster, recorder, faults }: Scene,
  disturb: Disturbance,
): Promise<string[]> {
  const { processes, seconds, log } = settings
  const startedAt = now()
  const until = startedAt + seconds * 1000
  const workers = Array.from(
    { length: processes },
    (_, worker) => new WorkerProcess(taskOf(settings, cluster, { worker, startedAt, until })),
  )
  try {
    await disturb(faultTarget(settings, { cluster, recorder, workers }), () => now() >= until, faults)
    log(faults.text)
    await sleep(Math.max(0, until - now()))
    const busy = await Promise.all(workers.map((worker) => worker.whenIdle(hangMs)))
    // The key ends the watches.
    await cluster.call('/v3/kv/put', { key: Buffer.from(endKey).toString('base64'), value: '' })
    const left = await Promise.all(workers.map((worker) => worker.whenEnded(hangMs)))
    await poll('the recorder has seen the end', () => recorder.eventsUntil(endKey), { timeoutMs: hangMs })
    return [...busy, ...left].filter((problem) => problem !== undefined)
  } finally {
    for (const worker of workers) worker.kill()
  }
}

function faultTarget(
  { seed, auth }: ChaosSettings,
  parts: { readonly cluster: EtcdCluster; readonly recorder: Recorder; readonly workers: readonly WorkerProcess[] },
): FaultTarget {
  const { cluster, recorder, workers } = parts
  const { tls } = cluster
  return {
    cluster,
    random: randomFrom(seed),
    workers: workers.map(({ pid }) => pid),
    compactable: () => Math.min(recorder.revision, ...workers.map(({ position }) => position)),
    membersChanged: () => {
      recorder.restart()
      for (const worker of workers) worker.send({ endpoints: cluster.endpoints })
    },
    // A change of the password, even to the same one, ends all tokens of the user.
    expireTokens: auth ? () => changePassword(cluster) : undefined,
    rotateCertificates: tls && (() => rotate(tls)),
  }
}

function rotate(tls: NonNullable<EtcdCluster['tls']>): void {
  tls.renewServerCertificate()
  tls.clientCert(workerUser.username)
}

async function addWorkerUser(cluster: EtcdCluster): Promise<void> {
  await cluster.call('/v3/auth/user/add', { name: workerUser.username, password: workerUser.password })
  await cluster.call('/v3/auth/user/grant', { user: workerUser.username, role: 'root' })
}

async function changePassword(cluster: EtcdCluster): Promise<void> {
  await cluster.call('/v3/auth/user/changepw', { name: workerUser.username, password: workerUser.password })
}

function judge({ log }: ChaosSettings, recorder: Recorder, records: readonly ChaosRecord[]): string[] {
  const { complaint } = recorder
  const history = recorder.eventsUntil(endKey) ?? recorder.events
  for (const line of operationLines(records)) log(line)
  log(`history: ${history.length} events up to revision ${history.at(-1)?.revision}`)
  return Object.entries(checkers).flatMap(([name, check]) => {
    const violations = check({ history, records })
    log(`${violations.length === 0 ? 'holds' : 'BROKEN'}: ${name}`)
    for (const violation of violations.slice(0, 10)) log(`  ${violation}`)
    if (violations.length > 0 && complaint !== '') log(`  etcdctl: ${complaint.slice(0, 500)}`)
    return violations.map((violation) => `${name}: ${violation}`)
  })
}

function taskOf(
  { seed, transport, auth, ...settings }: ChaosSettings,
  { endpoints, tls }: EtcdCluster,
  own: Pick<WorkerTask, 'worker' | 'startedAt' | 'until'>,
): WorkerTask {
  const files = tls?.clientCert(workerUser.username)
  return {
    ...own,
    seed,
    endpoints,
    transport,
    tls: tls && files && { ca: tls.caFile, cert: files.certFile, key: files.keyFile },
    auth: auth ? workerUser : undefined,
    hasMemberSync: own.worker % 2 === 1,
    file: fileOf(settings, own.worker),
    endKey,
  }
}

function fileOf({ folder }: Pick<ChaosSettings, 'folder'>, worker: number): string {
  return join(folder, `worker-${worker}.jsonl`)
}
