/**
 * Runs the tests: all of them, or those whose path contains one of the arguments.
 *
 *     npm test                              every test on the default etcd and transport, and the important half over grpc-js
 *     npm test -- kv fault                  only files with `kv` or `fault` in their path
 *     ETCDKIT_ETCD_VERSION=3.7 npm test     on another etcd
 *     ETCDKIT_TRANSPORT=grpc-js npm test    every test over grpc-js
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'

const root = join(import.meta.dirname, '..')

/** Folders whose tests measure time. They run after all others, two files at a time: elections need free cores. */
const timedFolders = ['recovery']
const timedConcurrency = 2

/** Folders whose tests run only when they are asked for: they install many packages, or take minutes. */
const requestedFolders = ['recipes', 'ways-in']

/** What a run of all tests repeats over grpc-js: each kind of call and stream, lost connections, TLS and tokens. */
const grpcJsFiles = [
  'fault/connect-faults',
  'fault/endpoints',
  'fault/lifecycle',
  'fault/lost-answers',
  'fault/tls',
  'fault/watch-consumers',
  'integration/auth-tokens',
  'integration/cancellation',
  'integration/informer.',
  'integration/kv',
  'integration/lease.',
  'integration/listing.',
  'integration/lock.',
  'integration/maintenance',
  'integration/read-batching',
  'integration/rpcs',
  'integration/snapshot',
  'integration/watch',
  'integration/write-grouping',
].map((part) => join('test', part))

/** Keeps the cores busy for a minute, so it runs alone. */
const chaosFile = join('test', 'chaos', 'chaos.test.ts')

/** A test that hangs is a test that fails. */
const testTimeoutMs = 120_000

/** Builds of whole projects take longer. */
const requestedTimeoutMs = 900_000

function testFiles(): readonly string[] {
  return readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => relative(root, join(import.meta.dirname, name)))
    .sort()
}

async function run(
  files: readonly string[],
  concurrency: number,
  env: NodeJS.ProcessEnv = {},
  timeoutMs = testTimeoutMs,
): Promise<boolean> {
  if (files.length === 0) return true
  const flags = [
    '--import',
    './test/support/typescript.js',
    '--import',
    './test/support/transport.ts',
    '--test',
    `--test-concurrency=${concurrency}`,
    `--test-timeout=${timeoutMs}`,
    '--test-reporter=spec',
  ]
  const child = spawn(process.execPath, [...flags, ...files], {
    cwd: root,
    stdio: 'inherit',
    env: { ...env, ...process.env },
  })
  const [code] = await once(child, 'exit')
  return code === 0
}

/**
 * Most tests wait more than they compute, so there are two for each core. Members that share the cores with other tests
 * miss heartbeats: with etcd's default timers, that causes no unexpected elections.
 */
function runTogether(files: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<boolean> {
  return run(files, availableParallelism() * 2, { ETCDKIT_ETCD_TIMERS: 'default', ...env })
}

function runOverGrpcJs(): Promise<boolean> {
  const repeated = testFiles().filter((file) => grpcJsFiles.some((part) => file.startsWith(part)))
  return runTogether(repeated, { ETCDKIT_TRANSPORT: 'grpc-js' })
}

const wanted = process.argv.slice(2)
const isIn = (file: string, folders: readonly string[]): boolean =>
  folders.some((folder) => file.startsWith(join('test', folder)))
const isTimed = (file: string): boolean => isIn(file, timedFolders)
const isRequested = (file: string): boolean => isIn(file, requestedFolders)
const isChaos = (file: string): boolean => file === chaosFile
const isShared = (file: string): boolean => !isTimed(file) && !isRequested(file) && !isChaos(file)
const files = testFiles().filter((file) =>
  wanted.length === 0 ? !isRequested(file) : wanted.some((part) => file.includes(part)),
)

if (files.length === 0) {
  console.error(`no test file has ${wanted.join(' or ')} in its path`)
  process.exitCode = 1
} else {
  const shared = await runTogether(files.filter(isShared))
  const overGrpcJs = wanted.length > 0 || process.env.ETCDKIT_TRANSPORT !== undefined || (await runOverGrpcJs())
  const timed = await run(files.filter(isTimed), timedConcurrency)
  const chaos = await run(files.filter(isChaos), 1)
  const requested = await run(files.filter(isRequested), 1, {}, requestedTimeoutMs)
  process.exitCode = shared && overGrpcJs && timed && chaos && requested ? 0 : 1
}
