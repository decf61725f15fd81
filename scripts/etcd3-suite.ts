/**
 * Runs the test suite of npm `etcd3` 1.1.2 against `etcdkit/etcd3`, as it is packed, and compares the outcome with what is
 * expected of each of its tests.
 *
 *     npm run build && npm run test:etcd3-suite
 *     ETCD3_REPOSITORY=/path/to/etcd3 npm run test:etcd3-suite    from a copy of its repository
 *     ETCDKIT_ETCD_VERSION=3.7 npm run test:etcd3-suite
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EtcdCluster } from '../src/testing/index.js'
import { expectedFailures, skipped, total } from './etcd3/expectations.js'
import { prepareSuite } from './etcd3/suite-project.js'

interface Outcome {
  readonly fullTitle: string
  readonly err: { readonly message?: string }
}

interface Report {
  readonly passes: readonly Outcome[]
  readonly failures: readonly Outcome[]
  readonly pending: readonly Outcome[]
}

const hungMs = 180_000

/** Replaces the suite's certificates with those of the cluster. */
function replaceCertificates(folder: string, { tls }: EtcdCluster): void {
  if (tls === undefined) throw new Error('the cluster has no certificates')
  const { cert, key } = tls.authority.issue()
  const certificates = join(folder, 'src/test/certs')
  writeFileSync(join(certificates, 'certs/ca.crt'), tls.ca)
  writeFileSync(join(certificates, 'certs/etcd0.localhost.crt'), cert)
  writeFileSync(join(certificates, 'private/etcd0.localhost.key'), key)
}

function runMocha(folder: string, cluster: EtcdCluster): Report {
  const report = join(folder, 'report.json')
  const flags = [
    '--require',
    'tsx/cjs',
    '--require',
    './src/test/_setup.ts',
    '--require',
    './hooks.ts',
    '--timeout',
    '10000',
    '--exit',
  ]
  const reporter = ['--reporter', 'json', '--reporter-option', `output=${report}`]
  const address = new URL(cluster.endpoints[0] ?? '').host
  const env = { ...process.env, ETCD_ADDR: address, ETCD_VERSION: cluster.version }
  const mocha = join(folder, 'node_modules/.bin/mocha')
  rmSync(report, { force: true })
  spawnSync(mocha, [...flags, ...reporter, 'src/test/**/*.test.ts'], {
    cwd: folder,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: hungMs,
  })
  return JSON.parse(readFileSync(report, 'utf8'))
}

/** Prints what is not as expected; returns whether everything is. */
function compare({ passes, failures, pending }: Report): boolean {
  const surprises = failures.filter(({ fullTitle }) => expectedFailures[fullTitle] === undefined)
  const unexpected = passes.filter(({ fullTitle }) => expectedFailures[fullTitle] !== undefined)
  console.log(`${passes.length} passed, ${failures.length} failed, ${pending.length} skipped`)
  for (const { fullTitle, err } of failures) {
    console.log(`- ${fullTitle}: ${expectedFailures[fullTitle] ?? `FAILED: ${err.message}`}`)
  }
  for (const { fullTitle } of unexpected) console.log(`- ${fullTitle}: passes, contrary to its expectation`)
  return surprises.length === 0 && passes.length + failures.length === total && pending.length === skipped
}

const folder = process.env.ETCD3_SUITE_FOLDER ?? mkdtempSync(join(tmpdir(), 'etcdkit-etcd3-suite-'))
prepareSuite(folder)
const cluster = await EtcdCluster.start({ tls: true })
try {
  replaceCertificates(folder, cluster)
  if (!compare(runMocha(folder, cluster))) process.exitCode = 1
} finally {
  await cluster.stop()
  if (process.env.ETCD3_SUITE_FOLDER === undefined) rmSync(folder, { recursive: true, force: true })
}
