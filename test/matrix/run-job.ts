import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isTimed, type Job, root } from './jobs.js'

/** The outcome of one test. */
export interface TestRecord {
  /** The names of its suites and its own. */
  readonly path: readonly string[]
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** Why it was skipped or how it failed. */
  readonly reason?: string
}

export interface JobResult {
  readonly job: Job
  readonly seconds: number
  readonly records: readonly TestRecord[]
}

/** A file that takes longer hangs. */
const fileTimeoutMs = 240_000

/** Runs a test file in a separate process. A process that fails without a failed test counts as one. */
export async function runJob(job: Job): Promise<JobResult> {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-matrix-'))
  const startedAt = performance.now()
  try {
    const ending = await runFile(job, join(folder, 'records'))
    const seconds = (performance.now() - startedAt) / 1000
    const records = readRecords(join(folder, 'records'))
    const isExplained = ending === undefined || records.some(({ outcome }) => outcome === 'failed')
    return { job, seconds, records: isExplained ? records : [...records, failureOf(ending)] }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Returns how the process failed, with the end of its output; undefined where it did not. */
async function runFile(job: Job, recordsFile: string): Promise<string | undefined> {
  const reporter = [`--test-reporter=./test/matrix/reporter.js`, `--test-reporter-destination=${recordsFile}`]
  const imports = ['--import=./test/support/typescript.js', '--import=./test/support/transport.ts']
  const child = spawn(process.execPath, [...imports, ...reporter, job.file], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...environment(job) },
    timeout: fileTimeoutMs,
    killSignal: 'SIGKILL',
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes) => {
      output = `${output}${bytes}`.slice(-4000)
    })
  }
  const [code, signal] = await once(child, 'close')
  return code === 0 ? undefined : `the process ended with ${signal ?? code}: ${output}`
}

function environment(job: Job): NodeJS.ProcessEnv {
  return {
    ETCDKIT_ETCD_VERSION: job.version,
    ETCDKIT_TRANSPORT: job.transport,
    // Members that share the cores with many tests miss heartbeats of the fast timers.
    ...(isTimed(job) ? {} : { ETCDKIT_ETCD_TIMERS: 'default' }),
  }
}

function readRecords(file: string): TestRecord[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line))
}

function failureOf(reason: string): TestRecord {
  return { path: ['the file'], outcome: 'failed', reason }
}
