/**
 * Runs the integration, fault and recovery tests on several versions of etcd over both transports, and writes
 * docs/compatibility.md.
 *
 *     npm run test:matrix                           every version, both transports
 *     npm run test:matrix -- 3.5.30 3.7.1           only these versions
 *     npm run test:matrix -- 3.7 grpc-js            only this transport
 *     npm run test:matrix -- 3.7 lease fault/tls    only files with these parts in their path; the page stays as it is
 *     npm run test:matrix -- --continue             without the files that passed in the last run
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { findEtcd } from '../../src/testing/index.js'
import { describeJob, isTimed, type Job, matrixFiles, runsOnBoth, runsOver, type Transport } from './jobs.js'
import { Journal } from './journal.js'
import { writePage } from './page.js'
import { runPool } from './pool.js'
import { columnsOf, mergeResults, readResults, writeResults } from './results.js'
import { type JobResult, runJob } from './run-job.js'

/** The oldest and the newest patch release of each series, as far as they differ for clients. */
const defaultVersions = ['3.4.23', '3.4.37', '3.5.16', '3.5.30', '3.5.35', '3.6.16', '3.7.3']

const allTransports: readonly Transport[] = ['http2', 'grpc-js']

const { values, positionals } = parseArgs({
  options: { continue: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const isVersion = (text: string): boolean => /^v?\d+\.\d+(\.\d+)?$/.test(text)
const isTransport = (text: string): text is Transport => allTransports.some((transport) => transport === text)
const parts = positionals.filter((text) => !isVersion(text) && !isTransport(text))
const namedVersions = positionals.filter(isVersion)
const transports = positionals.some(isTransport) ? positionals.filter(isTransport) : allTransports

/** The exact versions, and those that this machine cannot get. */
async function findVersions(): Promise<{ readonly found: readonly string[]; readonly unavailable: readonly string[] }> {
  const found: string[] = []
  const unavailable: string[] = []
  for (const wanted of namedVersions.length > 0 ? namedVersions : defaultVersions) {
    try {
      found.push((await findEtcd(wanted)).version)
    } catch (error) {
      unavailable.push(wanted)
      console.log(error instanceof Error ? error.message : error)
    }
  }
  return { found: [...new Set(found)], unavailable }
}

function planJobs(versions: readonly string[]): readonly Job[] {
  const files = matrixFiles(parts)
  return versions.flatMap((version) => [
    ...files.filter(runsOnBoth).map((file) => ({ version, transport: 'http2' as const, file })),
    ...transports.flatMap((transport) =>
      files
        .filter((file) => !runsOnBoth(file) && runsOver(file, transport))
        .map((file) => ({ version, transport, file })),
    ),
  ])
}

/** Tests that measure time come last, with fewer at a time: they wait for three quarters of it, and elections need free cores. */
async function runJobs(jobs: readonly Job[], done: (result: JobResult) => void): Promise<void> {
  const cores = availableParallelism()
  await runPool(
    jobs.filter((job) => !isTimed(job)),
    cores * 2,
    runJob,
    done,
  )
  await runPool(jobs.filter(isTimed), cores + 1, runJob, done)
}

function print({ job, seconds, records }: JobResult): void {
  const passed = records.filter(({ outcome }) => outcome === 'passed').length
  console.log(`${describeJob(job)}: ${passed} passed, ${seconds.toFixed(1)} s`)
  for (const { outcome, path, reason } of records) {
    if (outcome !== 'passed') console.log(`  ${outcome}: ${path.join(' > ')}: ${reason}`)
  }
}

const startedAt = performance.now()
const { found, unavailable } = await findVersions()
const jobs = planJobs(found)
const journal = new Journal()
const earlier = values.continue ? journal.passed(jobs) : []
if (!values.continue) journal.clear()
const isDone = new Set(earlier.map(({ job }) => describeJob(job)))
const results = [...earlier]
await runJobs(
  jobs.filter((job) => !isDone.has(describeJob(job))),
  (result) => {
    print(result)
    journal.add(result)
    results.push(result)
  },
)
const columns = columnsOf(results, transports)
if (parts.length === 0) {
  const merged = mergeResults(readResults(), { columns, unavailable })
  writeResults(merged)
  writePage(merged)
}
console.log(`\n${Math.round((performance.now() - startedAt) / 1000)} s`)
for (const { version, transport, seconds, features } of columns) {
  const total = (outcome: 'passed' | 'failed' | 'skipped'): number =>
    Object.values(features).reduce((sum, counts) => sum + counts[outcome], 0)
  const counts = `${total('passed')} passed, ${total('failed')} failed, ${total('skipped')} skipped`
  console.log(`${version} over ${transport}: ${counts}; the files took ${seconds} s together`)
}
const hasFailed = results.some(({ records }) => records.some(({ outcome }) => outcome === 'failed'))
const isMissing = results.length === 0 || (namedVersions.length > 0 && unavailable.length > 0)
process.exitCode = hasFailed || isMissing ? 1 : 0
