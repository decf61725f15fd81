/**
 * Runs the tests under another Node, which comes from the npm registry.
 *
 *     npm run test:node -- 24             every test
 *     npm run test:node -- 24 kv watch    only files with `kv` or `watch` in their path
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { cacheFolder } from '../src/testing/etcd-binary.js'

const root = join(import.meta.dirname, '..')
const cache = join(cacheFolder(), 'node')

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

function main(): void {
  const [version, ...parts] = process.argv.slice(2)
  if (version === undefined || !/^\d+(\.\d+\.\d+)?$/.test(version)) {
    console.error('which Node? for example: npm run test:node -- 24')
    process.exitCode = 2
    return
  }
  const node = install(version)
  // The tests start programs of their own: those shall be the same Node.
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` }
  console.log(`Node ${execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()}`)
  const tests = ['--import', 'tsx', join('test', 'run.ts'), ...parts]
  const { status } = spawnSync(node, tests, { cwd: root, env, stdio: 'inherit' })
  process.exitCode = status ?? 1
}

main()
