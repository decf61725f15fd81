import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pack } from './pack.js'

const tag = 'v1.1.2'
const defaultRepository = 'https://github.com/microsoft/etcd3.git'

/** What the suite imports beside the client. */
const dependencies = [
  '@grpc/grpc-js@1',
  '@types/node@20',
  'bignumber.js@9',
  'chai-as-promised@7',
  'chai-subset@1',
  'chai@4',
  'cockatiel@3',
  'mocha@10',
  'rxjs@7',
  'sinon@15',
  'tsx@4',
]

/** A test that fails leaves the suite's proxy on, which all later ones would connect to. */
const hooks = `
  import { proxy } from './src/test/util'
  export const mochaHooks = { afterEach() { proxy.isActive = false } }`

/**
 * The modules that the suite imports, mapped to the package. A client's internal pool replaces the connection pool, which the
 * suite imports by path.
 */
const modules: Readonly<Record<string, string>> = {
  index: `export * from 'etcdkit/etcd3'`,
  errors: `export * from 'etcdkit/etcd3'`,
  range: `export * from 'etcdkit/etcd3'`,
  stm: `export * from 'etcdkit/etcd3'`,
  election: `export * from 'etcdkit/etcd3'`,
  'connection-pool': `
    import { Etcd3 } from 'etcdkit/etcd3'
    export class ConnectionPool {
      constructor(options) { return new Etcd3(options).pool }
    }`,
  util: `
    import { setTimeout } from 'node:timers/promises'
    export const delay = (ms) => setTimeout(ms)
    export const getDeferred = () => {
      let settle
      const promise = new Promise((resolve, reject) => { settle = { resolve, reject } })
      return { promise, ...settle }
    }
    export const onceEvent = (emitter, ...names) => new Promise((resolve, reject) => {
      const listeners = names.map((name) => [name, (data) => {
        for (const [other, listener] of listeners) emitter.removeListener(other, listener)
        name === 'error' ? reject(data) : resolve(data)
      }])
      for (const [name, listener] of listeners) emitter.once(name, listener)
    })`,
}

function npm(folder: string, ...args: readonly string[]): void {
  execFileSync('npm', [...args, '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder, stdio: 'inherit' })
}

/**
 * Puts the suite of etcd3 into `folder`, with the packed package in the place of its sources. Nothing of it is kept in this
 * repository: it is fetched, from `ETCD3_REPOSITORY` where that is set.
 */
export function prepareSuite(folder: string): void {
  const source = join(folder, 'source')
  rmSync(source, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const repository = process.env.ETCD3_REPOSITORY ?? defaultRepository
  execFileSync(
    'git',
    ['clone', '--quiet', '-c', 'advice.detachedHead=false', '--depth', '1', '--branch', tag, repository, source],
    { stdio: 'inherit' },
  )
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'commonjs' }))
  npm(folder, 'install', ...dependencies, pack(folder))
  rmSync(join(folder, 'src'), { recursive: true, force: true })
  cpSync(join(source, 'src/test'), join(folder, 'src/test'), { recursive: true })
  writeFileSync(join(folder, 'hooks.ts'), hooks)
  for (const [name, content] of Object.entries(modules)) writeFileSync(join(folder, 'src', `${name}.ts`), content)
}
