/**
 * Runs tests and reports which lines of `src` they cover: a summary on the terminal, details in `coverage/lcov.info`. Needs Node 22 or
 * later. Tests that measure time are left out.
 *
 *     npm run test:coverage                every test on the default etcd and transport
 *     npm run test:coverage -- kv watch    only files with `kv` or `watch` in their path
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join, relative } from 'node:path'

const root = join(import.meta.dirname, '..')

function testFiles(parts: readonly string[]): readonly string[] {
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts') && !name.startsWith('recovery'))
    .map((name) => relative(root, join(root, 'test', name)))
    .filter((name) => parts.length === 0 || parts.some((part) => name.includes(part)))
}

const flags = [
  '--import=./test/support/typescript.js',
  '--import=./test/support/transport.ts',
  '--test',
  '--test-concurrency=2',
  '--test-timeout=120000',
  '--experimental-test-coverage',
  '--test-coverage-include=src/**/*.ts',
  '--test-coverage-exclude=src/protobuf/generated/**',
  '--test-reporter=spec',
  '--test-reporter-destination=stdout',
  '--test-reporter=lcov',
  '--test-reporter-destination=coverage/lcov.info',
]

const parts = process.argv.slice(2)
const files = testFiles(parts)
if (Number(process.versions.node.split('.')[0]) < 22) {
  console.error(`coverage needs Node 22 or later, this is ${process.version}`)
  process.exitCode = 2
} else if (files.length === 0) {
  console.error(`no test file has ${parts.join(' or ')} in its path`)
  process.exitCode = 2
} else {
  mkdirSync(join(root, 'coverage'), { recursive: true })
  const env = { ETCDKIT_ETCD_TIMERS: 'default', ...process.env }
  const { status } = spawnSync(process.execPath, [...flags, ...files], {
    cwd: root,
    env,
    stdio: 'inherit',
  })
  process.exitCode = status ?? 1
}
