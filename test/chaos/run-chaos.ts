import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EtcdCluster, poll } from '../../src/testing/index.js'
import { randomFrom } from '../support/random.js'
import { checkers } from './checkers/checkers.js'
import { of } from './checkers/of.js'
import { makeFaults } from './faults.js'
import { type HistoryEvent, Recorder } from './recorder.js'
import { type ChaosRecord, now, readRecords, type WorkerTask } from './records.js'

export interface ChaosSettings {
  readonly seconds: number
  readonly seed: number
  readonly members: number
  readonly processes: number
  readonly etcd: string | undefined
  readonly transport: 'http2' | 'grpc-js'
  readonly auth: boolean
  readonly tls: boolean
  /** For the files of the workers. */
  readonly folder: string
  readonly log: (line: string) => void
}

export interface ChaosResult {
  readonly history: readonly HistoryEvent[]
  readonly violations: readonly string[]
}

const rootPassword = 'chaos'
const endKey = 'end'
/** History that is younger, in revisions, is never compacted: watches and the recorder may still need it. */
const keptRevisions = 5000

/** Runs the workers and the faults, and returns what the checkers found. */
export async function runChaos(settings: ChaosSettings): Promise<ChaosResult> {
  const { log, seed, members, tls, auth, etcd } = settings
  await using cluster = await EtcdCluster.start({
    members,
    proxy: true,
    tls,
    version: etcd,
    timers: 'default',
    ...(auth ? { auth: { rootPassword }, flags: { 'auth-token-ttl': '5' } } : {}),
  })
  log(`seed ${seed}: ${members} members of etcd ${cluster.version}, ${settings.seconds} s, ${settings.transport}`)
  const recorder = new Recorder(cluster, auth ? rootPassword : undefined)
  try {
    const records = await workAndBreak(settings, cluster, recorder)
    return { history: recorder.events, violations: judge(settings, recorder, records) }
  } finally {
    recorder.stop()
  }
}

async function workAndBreak(settings: ChaosSettings, cluster: EtcdCluster, recorder: Recorder): Promise<ChaosRecord[]> {
  const { processes, seconds, seed, log } = settings
  const startedAt = now()
  const until = startedAt + seconds * 1000
  const workers = Array.from({ length: processes }, (_, worker) =>
    runWorker(taskOf(settings, cluster, { worker, startedAt, until })),
  )
  const counts = new Map<string, number>()
  const compactable = (): number => recorder.revision - keptRevisions
  const target = { cluster, random: randomFrom(seed), compactable }
  const isOver = (): boolean => now() >= until
  await makeFaults(target, isOver, (name) => counts.set(name, (counts.get(name) ?? 0) + 1))
  await cluster.healthy()
  // What workers still have under way has an end by then; the key after it ends their watches.
  await sleep(Math.max(0, until - now()) + 8000)
  await cluster.call('/v3/kv/put', { key: Buffer.from(endKey).toString('base64'), value: '' })
  await Promise.all(workers)
  await poll('the recorder has seen the end', () => recorder.events.at(-1)?.key === endKey || undefined, {
    timeoutMs: 30_000,
  })
  log(`faults: ${[...counts].map(([name, count]) => `${name} ${count}`).join(', ')}`)
  return Array.from({ length: processes }, (_, worker) => readRecords(fileOf(settings, worker))).flat()
}

function judge(
  { log }: ChaosSettings,
  { events: history, complaint }: Recorder,
  records: readonly ChaosRecord[],
): string[] {
  const operations = new Map<string, number>()
  for (const done of of(records, 'done')) {
    for (const [what, count] of Object.entries(done.operations))
      operations.set(what, (operations.get(what) ?? 0) + count)
  }
  for (const [what, count] of [...operations].sort()) log(`  ${what}: ${count}`)
  if (complaint !== '') log(`etcdctl: ${complaint.slice(0, 500)}`)
  return Object.entries(checkers).flatMap(([name, check]) => {
    const violations = check({ history, records })
    log(`${violations.length === 0 ? 'holds' : 'BROKEN'}: ${name}`)
    for (const violation of violations.slice(0, 10)) log(`  ${violation}`)
    return violations.map((violation) => `${name}: ${violation}`)
  })
}

function taskOf(
  { seed, transport, ...settings }: ChaosSettings,
  cluster: EtcdCluster,
  own: Pick<WorkerTask, 'worker' | 'startedAt' | 'until'>,
): WorkerTask {
  return {
    ...own,
    seed,
    endpoints: cluster.endpoints,
    transport,
    caFile: cluster.tls?.caFile,
    rootPassword: settings.auth ? rootPassword : undefined,
    file: fileOf(settings, own.worker),
    endKey,
  }
}

function fileOf({ folder }: Pick<ChaosSettings, 'folder'>, worker: number): string {
  return join(folder, `worker-${worker}.jsonl`)
}

async function runWorker(task: WorkerTask): Promise<void> {
  const flags = ['--import', './test/support/typescript.js', join(import.meta.dirname, 'worker.ts')]
  const child = spawn(process.execPath, flags, {
    cwd: join(import.meta.dirname, '../..'),
    env: { ...process.env, CHAOS_TASK: JSON.stringify(task) },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`worker ${task.worker} ended with ${code}`)
}
