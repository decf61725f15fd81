/**
 * Runs packages that are made for npm `etcd3` on `etcdkit/etcd3`, unchanged: by the `overrides` of npm, from the registry,
 * with this package as it is packed.
 *
 *     npm run build && npm run test:dependents
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { EtcdCluster } from '../src/testing/index.js'
import { pack, packAlias } from './etcd3/pack.js'

const dependencies = {
  '@hkube/etcd': '5.1.11',
  '@keyv/etcd': '2.1.1',
  '@nestcloud/common': '0.7.15',
  '@nestcloud/etcd': '0.7.15',
  '@nestjs/common': '7',
  '@nestjs/core': '7',
  'await-delay': '1',
  'await-done': '1',
  chai: '4',
  keyv: '5',
  mocha: '10',
  'rate-limiter-flexible': '11',
  'reflect-metadata': '0.1',
  rxjs: '6',
  sinon: '7',
}

/** The dependents, each with the arguments that Node runs its test with. */
const tests: Readonly<Record<string, readonly string[]>> = {
  '@keyv/etcd 2.1.1': ['keyv.cjs'],
  'rate-limiter-flexible 11': ['rate-limiter.cjs'],
  '@nestcloud/etcd 0.7.15': ['nestcloud.cjs'],
  // The test that is left out fails on etcd3 1.1.2 as well: it was written for a release in which a live lease had the state 0.
  '@hkube/etcd 5.1.11, its own suite': [
    'node_modules/mocha/bin/mocha.js',
    ...['--exit', '--reporter', 'dot', '--invert', '--grep', 'should only able register once'],
    'hkube/test.js',
  ],
}

function install(folder: string): void {
  const ours = { etcd3: `file:${basename(packAlias(folder))}`, etcdkit: `file:${basename(pack(folder))}` }
  const overrides = { etcd3: '$etcd3', etcdkit: '$etcdkit' }
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ private: true, dependencies: { ...dependencies, ...ours }, overrides }),
  )
  const flags = ['--no-audit', '--no-fund', '--loglevel=error']
  execFileSync('npm', ['install', ...flags], { cwd: folder, stdio: 'inherit' })
  cpSync(join(import.meta.dirname, 'etcd3/dependents'), folder, { recursive: true })
}

/** The suite of `@hkube/etcd` lies beside its code, and expects a member on port 4001. */
function prepareHkube(folder: string, port: string): void {
  cpSync(join(folder, 'node_modules/@hkube/etcd/tests'), join(folder, 'hkube'), { recursive: true })
  const path = join(folder, 'hkube/test.js')
  const source = readFileSync(path, 'utf8')
  writeFileSync(path, source.replace("require('../index')", "require('@hkube/etcd')").replaceAll("'4001'", `'${port}'`))
}

const folder = mkdtempSync(join(tmpdir(), 'etcdkit-etcd3-dependents-'))
install(folder)
const cluster = await EtcdCluster.start()
try {
  const { host, port } = new URL(cluster.endpoints[0] ?? '')
  prepareHkube(folder, port)
  const env = { ...process.env, ETCD_ADDRESS: host }
  for (const [name, args] of Object.entries(tests)) {
    const { status } = spawnSync(process.execPath, args, { cwd: folder, env, stdio: 'inherit', timeout: 120_000 })
    console.log(`${name}: ${status === 0 ? 'passed' : 'FAILED'}`)
    if (status !== 0) process.exitCode = 1
  }
} finally {
  await cluster.stop()
  rmSync(folder, { recursive: true, force: true })
}
