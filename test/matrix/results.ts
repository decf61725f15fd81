import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { compareVersions } from '../../src/testing/etcd-version.js'
import { featureNames, featureOf } from './features.js'
import { root, type Transport } from './jobs.js'
import type { JobResult, TestRecord } from './run-job.js'

/** How many tests of a feature had which outcome. */
export type Counts = Readonly<Record<TestRecord['outcome'], number>>

/** A test that did not pass, and why. */
export interface Exception {
  readonly outcome: 'failed' | 'skipped'
  readonly test: string
  readonly reason: string
}

/** What the tests showed for one version over one transport. */
export interface Column {
  readonly version: string
  readonly transport: Transport
  readonly date: string
  readonly node: string
  /** The sum of the times of its test files. */
  readonly seconds: number
  readonly features: Readonly<Record<string, Counts>>
  readonly exceptions: readonly Exception[]
}

export interface Results {
  readonly columns: readonly Column[]
  /** Versions that the last run wanted and could not get. */
  readonly unavailable: readonly string[]
}

const file = join(root, 'docs/compatibility.json')

export function readResults(): Results {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { columns: [], unavailable: [] }
}

export function writeResults(results: Results): void {
  writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`)
}

/** New columns take the place of those of the same version and transport. */
export function mergeResults(before: Results, now: Results): Results {
  const kept = before.columns.filter((old) => !now.columns.some((column) => isSameColumn(old, column)))
  const columns = [...kept, ...now.columns].sort(
    (a, b) => compareVersions(a.version, b.version) || b.transport.localeCompare(a.transport),
  )
  const isTested = (version: string): boolean => columns.some((column) => column.version === version)
  return { columns, unavailable: now.unavailable.filter((version) => !isTested(version)) }
}

function isSameColumn(a: Column, b: Column): boolean {
  return a.version === b.version && a.transport === b.transport
}

/** One column for each version and each of these transports. */
export function columnsOf(results: readonly JobResult[], transports: readonly Transport[]): readonly Column[] {
  const versions = new Set(results.map(({ job }) => job.version))
  return Array.from(versions).flatMap((version) =>
    transports.map((transport) =>
      columnOf(
        version,
        transport,
        results.filter(({ job }) => job.version === version),
      ),
    ),
  )
}

function columnOf(version: string, transport: Transport, results: readonly JobResult[]): Column {
  const tests = results.flatMap(({ job, records }) =>
    records
      .filter((record) => transportOf(record, job.transport) === transport)
      .map((record) => ({ ...record, file: job.file, feature: featureOf(job.file, record.path[0]) })),
  )
  const seconds = results.reduce((sum, result) => sum + (result.job.transport === transport ? result.seconds : 0), 0)
  const countsOf = (feature: string): Counts => {
    const count = (outcome: TestRecord['outcome']): number =>
      tests.filter((each) => each.feature === feature && each.outcome === outcome).length
    return { passed: count('passed'), failed: count('failed'), skipped: count('skipped') }
  }
  return {
    version,
    transport,
    date: new Date().toISOString().slice(0, 10),
    node: process.versions.node,
    seconds: Math.round(seconds),
    features: Object.fromEntries(featureNames.map((name) => [name, countsOf(name)])),
    exceptions: tests.flatMap(({ outcome, path, reason = '', file: testFile }) =>
      outcome === 'passed' ? [] : [{ outcome, test: `${shortName(testFile)}: ${path.join(' ')}`, reason }],
    ),
  }
}

/** Some tests choose the transport themselves and say so in their titles. */
function transportOf({ path }: TestRecord, ofJob: Transport): Transport {
  return path.some((title) => title.includes('grpc-js')) ? 'grpc-js' : ofJob
}

function shortName(testFile: string): string {
  return relative('test', testFile).replace('.test.ts', '')
}
