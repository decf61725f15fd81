import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { EtcdCluster } from '../../src/testing/index.js'
import { devProgram, PackedPackage, run } from './packed-package.js'

const root = join(import.meta.dirname, '../..')

/** The first program of the README. */
function firstExample(): string {
  const [, source] = /```ts\n(.*?)```/s.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? []
  assert.ok(source)
  return source
}

describe('The package as it is published', () => {
  let project: PackedPackage

  before(async () => {
    project = await PackedPackage.install()
  })
  after(() => project[Symbol.dispose]())

  test('holds the built files, their types, README and LICENSE, and nothing else', (t) => {
    const installed = join(project.folder, 'node_modules/etcdkit')
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' }).filter((name) =>
      statSync(join(installed, name)).isFile(),
    )
    assert.deepEqual(files.filter((name) => !name.startsWith('dist/')).sort(), ['LICENSE', 'README.md', 'package.json'])
    assert.deepEqual(
      files.filter((name) => name.startsWith('dist/') && !/\.(js|d\.ts)$/.test(name)),
      [],
    )
    const text = files.map((name) => readFileSync(join(installed, name), 'utf8')).join('')
    assert.doesNotMatch(text, /sourceMappingURL/)
    t.diagnostic(`${files.length} files, tarball of ${(statSync(project.tarball).size / 1024).toFixed()} KiB`)
  })

  test('can be imported, and the process ends by itself', async (t) => {
    const script = `
      const startedAt = performance.now()
      const { Etcd } = await import('etcdkit')
      console.log(typeof Etcd, (performance.now() - startedAt).toFixed())`
    const { stdout } = await project.node('--input-type=module', '--eval', script)
    const [type, importMs] = stdout.trim().split(' ')
    assert.equal(type, 'function')
    t.diagnostic(`import takes ${importMs} ms`)
  })

  test('can be required from CommonJS', async () => {
    const script = project.write('required.cjs', "const { Etcd } = require('etcdkit'); console.log(typeof Etcd)")
    const { stdout, stderr } = await project.node('--no-warnings', script)
    assert.deepEqual({ stdout, stderr }, { stdout: 'function\n', stderr: '' })
  })

  test('has no other entry than its exports', async () => {
    const script = "import 'etcdkit/dist/client.js'"
    await assert.rejects(project.node('--input-type=module', '--eval', script), /ERR_PACKAGE_PATH_NOT_EXPORTED/)
  })

  test('gives the test harness by its own name', async () => {
    const script = "import { EtcdCluster, FaultProxy } from 'etcdkit/testing'; console.log(typeof EtcdCluster.start)"
    const { stdout } = await project.node('--input-type=module', '--eval', script)
    assert.equal(stdout, 'function\n')
  })

  test('gives the work queue by its own name, without the client', async () => {
    const script = `
      import { WorkQueue } from 'etcdkit/workqueue'
      const queue = new WorkQueue((key) => console.log(key), { onError: console.error })
      queue.add('a')
      await queue.close()`
    const file = project.write('workqueue.mjs', `${script}\n`)
    const { stdout, stderr } = await project.node('--no-warnings', file)
    assert.deepEqual({ stdout, stderr }, { stdout: 'a\n', stderr: '' })
  })

  test('brings the program etcdkit along', async () => {
    const installed = join(project.folder, 'node_modules/etcdkit')
    const { bin, version } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
    const path = join(installed, bin.etcdkit)
    assert.ok(readFileSync(path, 'utf8').startsWith('#!/usr/bin/env node\n'))
    const { stdout, stderr } = await project.node('--no-warnings', path, '--version')
    assert.deepEqual({ stdout, stderr }, { stdout: `${version}\n`, stderr: '' })
  })

  test('gives the adapters by their own names, which ask for their packages where these are missing', async () => {
    const run = (name: string) =>
      project.node('--input-type=module', '--eval', `console.log(Object.keys(await import('etcdkit/${name}')))`)
    assert.equal((await run('prometheus')).stdout, "[ 'expose' ]\n")
    await assert.rejects(run('otel'), /Cannot find package '@opentelemetry\/api'/)
    const other = await PackedPackage.install()
    try {
      other.addAdapterDependencies()
      const { stdout } = await other.node(
        '--input-type=module',
        '--eval',
        "console.log(Object.keys(await import('etcdkit/otel')))",
      )
      assert.equal(stdout, "[ 'instrument' ]\n")
    } finally {
      other[Symbol.dispose]()
    }
  })

  for (const resolution of ['nodenext', 'node16', 'bundler'] as const) {
    for (const exact of ['true', 'false'] as const) {
      test(`compiles in a strict project with ${resolution} and exactOptionalPropertyTypes ${exact}`, async () => {
        const module = resolution === 'bundler' ? 'esnext' : resolution
        const kind = ['--moduleResolution', resolution, '--module', module, '--exactOptionalPropertyTypes', exact]
        const file = project.write('example.ts', firstExample())
        await project.tsc(...strict, ...kind, '--noEmit', file)
      })
    }
  }

  test('is what publint and attw want', async () => {
    await run(devProgram('publint'), ['run', '--strict', project.tarball], project.folder)
    await run(devProgram('attw'), [project.tarball, '--profile', 'esm-only'], project.folder)
  })

  test('runs against a member when it is bundled into one file, alone in a folder', async () => {
    await using cluster = await EtcdCluster.start()
    const source = project.write('bundled.mjs', bundledSource)
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-bundle-'))
    try {
      const out = join(folder, 'bundle.cjs')
      const flags = ['--bundle', '--platform=node', '--format=cjs', `--outfile=${out}`, '--log-level=warning']
      await run(devProgram('esbuild'), [source, ...flags], project.folder)
      const { stdout } = await run(process.execPath, [out, cluster.endpoints.join(',')], folder)
      assert.equal(stdout, 'value\n')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

/** Types of the dependencies are checked as well: nothing is skipped. */
const strict = ['--strict', '--target', 'es2022', '--lib', 'es2022,esnext.disposable', '--types', 'node']

const bundledSource = `
  import { Etcd } from 'etcdkit'
  async function main() {
    const etcd = new Etcd({ endpoints: process.argv[2] })
    await etcd.put('key', 'value')
    console.log((await etcd.get('key')).text)
    await etcd.close()
  }
  main()`
