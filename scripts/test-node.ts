/**
 * Runs the tests under other releases of Node, which come from the npm registry.
 *
 *     npm run test:node                   every test on every release that is supported
 *     npm run test:node -- 24             every test on the newest 24
 *     npm run test:node -- 24 kv watch    only files with `kv` or `watch` in their path
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { cacheFolder } from '../src/testing/etcd-binary.js'

const root = join(import.meta.dirname, '..')
const cache = join(cacheFolder(), 'node')
const supported = ['20', '22', '24', '26']

/** The program of the newest Node of this major version, or of exactly this version. */
function install(version: string): string {
  const folder = join(cache, version)
  mkdirSync(folder, { recursive: true })
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  execFileSync('npm', [
    'install',
    '--prefix',
    folder,
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    `${name}@${version}`,
  ])
  return join(folder, 'node_modules', name, 'bin', 'node')
}

/** Runs the tests whose path has one of the parts; returns whether they passed. */
function runTests(version: string, parts: readonly string[]): boolean {
  const node = install(version)
  // The tests start programs of their own: those shall be the same Node.
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` }
  console.log(`Node ${execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()}`)
  const tests = ['--import', 'tsx', join('test', 'run.ts'), ...parts]
  return spawnSync(node, tests, { cwd: root, env, stdio: 'inherit' }).status === 0
}

function main(): void {
  const [version, ...parts] = process.argv.slice(2)
  if (version !== undefined && !/^\d+(\.\d+\.\d+)?$/.test(version)) {
    console.error(`which Node? got ${version}, expected a version first, for example: npm run test:node -- 24`)
    process.exitCode = 2
    return
  }
  // Some tests use what was built.
  execFileSync('npm', ['run', 'build'], { cwd: root, stdio: 'inherit' })
  const failed = (version === undefined ? supported : [version]).filter((wanted) => !runTests(wanted, parts))
  if (failed.length === 0) return
  console.error(`failed on Node ${failed.join(', ')}`)
  process.exitCode = 1
}

main()
