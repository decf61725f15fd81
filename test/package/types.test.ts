import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { PackedPackage, run } from './packed-package.js'
import { toolModules } from './tools.js'

/** Types of the dependencies are checked as well: nothing is skipped. */
const strict = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2022,esnext.disposable', '--types', 'node']

/** Every entry, in one module system each. */
const entries = `
  import { Etcd, tracing } from 'etcdkit'
  import { ServiceEndpoints } from 'etcdkit/naming'
  import { Etcd3 } from 'etcdkit/etcd3'
  import { instrument } from 'etcdkit/otel'
  import { expose } from 'etcdkit/prometheus'
  import { EtcdCluster } from 'etcdkit/testing'
  import { WorkQueue } from 'etcdkit/workqueue'
  tracing.call.subscribe({ start: ({ method }) => console.log(method) })
  console.log([Etcd, Etcd3, ServiceEndpoints, instrument, expose, EtcdCluster, WorkQueue].length)`

/** Compilers and releases of `@types/node`. Only the last compiler is quick enough for all of them. */
const pairs = [
  ['5.6', '20'],
  ['5.6', '26'],
  ['5.9', '22'],
  ['6', '24'],
  ['7', '20'],
  ['7', '22'],
  ['7', '24'],
  ['7', '26'],
] as const

/** The tour of the public API in the guides. */
function tour(): string {
  const page = readFileSync(join(import.meta.dirname, '../../docs/features.md'), 'utf8')
  const [, source] = /```ts\n(.*?)```/s.exec(page) ?? []
  assert.ok(source)
  return source
}

describe('The types of the package and of its dependencies', () => {
  let project: PackedPackage
  let tools: string

  before(async () => {
    ;[project, tools] = await Promise.all([PackedPackage.install(), toolModules()])
    project.addAdapterDependencies()
  })
  after(() => project?.[Symbol.dispose]())

  const compile = (compiler: string, types: string, ...args: readonly string[]) => {
    const folder = `types-${types}`
    project.link(join(tools, `types-node-${types}`), `${folder}/node_modules/@types/node`)
    const tsc = join(tools, `typescript-${compiler}/bin/tsc`)
    return run(process.execPath, [tsc, ...strict, ...args], join(project.folder, folder))
  }

  for (const [compiler, types] of pairs) {
    test(`compile with TypeScript ${compiler} and @types/node ${types}, as an ES module and as CommonJS`, async () => {
      project.write(`types-${types}/entries.mts`, entries)
      project.write(`types-${types}/entries.cts`, entries)
      await compile(compiler, types, '--module', 'nodenext', 'entries.mts', 'entries.cts')
    })
  }

  for (const exact of ['true', 'false'] as const) {
    test(`compile with exactOptionalPropertyTypes ${exact} in every module resolution`, async () => {
      project.write('types-24/package.json', '{"type":"module"}')
      project.write('types-24/example.ts', tour())
      const exactness = ['--exactOptionalPropertyTypes', exact]
      for (const module of ['nodenext', 'node16'] as const) {
        await compile('7', '24', ...exactness, '--module', module, 'example.ts')
      }
      await compile('7', '24', ...exactness, '--moduleResolution', 'bundler', '--module', 'esnext', 'example.ts')
    })
  }

  test('compile in a CommonJS project, with node16 and the older module resolution, and run', async () => {
    project.write('types-22/package.json', '{"type":"commonjs"}')
    project.write('types-22/index.ts', entries)
    const node10 = ['--module', 'commonjs', '--moduleResolution', 'node10']
    await compile('5.6', '22', '--noEmit', 'false', ...node10, 'index.ts')
    await project.node('types-22/index.js')
    await compile('7', '22', '--noEmit', 'false', '--module', 'node16', 'index.ts')
    await project.node('types-22/index.js')
  })
})
