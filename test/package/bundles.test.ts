import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { EtcdCluster } from '../../src/testing/index.js'
import { devProgram, PackedPackage, run } from './packed-package.js'
import { toolModules } from './tools.js'

/** Uses what is loaded at first need, too: grpc-js for the watch, the protobuf library for the list of leases. */
const source = `
  import { Etcd } from 'etcdkit'
  async function main() {
    const etcd = new Etcd({ endpoints: process.argv[2], transport: process.argv[3] })
    const watcher = etcd.watch({ key: 'key' })
    await watcher.ready()
    await etcd.put('key', 'value')
    for await (const event of watcher) { console.log(event.kv.valueText); break }
    const lease = await etcd.lease.grant(60)
    console.log((await etcd.lease.list()).includes(lease.id), 'require' in globalThis)
    await etcd.close()
  }
  main()`

const formats = ['esm', 'cjs'] as const

describe('A bundle of the package, alone in a folder', () => {
  let project: PackedPackage
  let cluster: EtcdCluster
  let tools: string
  let alone: string

  before(async () => {
    ;[project, cluster, tools] = await Promise.all([PackedPackage.install(), EtcdCluster.start(), toolModules()])
    alone = mkdtempSync(join(tmpdir(), 'etcdkit-bundle-'))
  })
  after(async () => {
    project?.[Symbol.dispose]()
    rmSync(alone, { recursive: true, force: true })
    await cluster?.stop()
  })

  const esbuild = async (entry: string, format: string, out: string): Promise<void> => {
    const flags = ['--bundle', '--platform=node', `--format=${format}`, `--outfile=${out}`, '--log-level=warning']
    const { stdout, stderr } = await run(devProgram('esbuild'), [entry, ...flags], project.folder)
    assert.deepEqual({ stdout, stderr }, { stdout: '', stderr: '' })
  }

  /** Both formats at once, since most of the work is to read the dependencies. */
  const rollup = async (entry: string, out: (format: string) => string): Promise<void> => {
    // Plugins are found from where the project is.
    const plugins = ['node-resolve', 'commonjs', 'json'].map((name) => `@rollup/plugin-${name}`)
    for (const name of plugins) project.link(join(tools, name), `node_modules/${name}`)
    const output = formats.map((format) => ({ format, file: out(format), inlineDynamicImports: true }))
    const config = project.write('rollup.config.mjs', `export default ${JSON.stringify({ output })}`)
    const flags = ['--config', config, '--input', entry, '--silent', ...plugins.flatMap((name) => ['--plugin', name])]
    await run(join(tools, '.bin/rollup'), flags, project.folder)
  }

  const assertWorks = async (file: string): Promise<void> => {
    for (const transport of ['grpc-js', 'http2']) {
      const { stdout, stderr } = await run(process.execPath, [file, cluster.endpoints.join(','), transport], alone)
      assert.deepEqual({ stdout, stderr }, { stdout: 'value\ntrue false\n', stderr: '' })
    }
  }

  const fileOf = (bundler: string, format: string): string =>
    join(alone, `${bundler}.${format === 'esm' ? 'mjs' : 'cjs'}`)

  for (const format of formats) {
    test(`runs against a member as ${format} of esbuild`, async () => {
      const file = fileOf('esbuild', format)
      await esbuild(project.write('bundled.mjs', source), format, file)
      await assertWorks(file)
    })
  }

  test('runs against a member as esm and cjs of rollup', async () => {
    await rollup(project.write('bundled.mjs', source), (format) => fileOf('rollup', format))
    for (const format of formats) await assertWorks(fileOf('rollup', format))
  })

  test('has one state when the package is both imported and required', async () => {
    project.write('required.cjs', "exports.other = require('etcdkit').Etcd")
    const text = `
      import { Etcd } from 'etcdkit'
      import { other } from './required.cjs'
      console.log(other === Etcd)`
    const out = join(alone, 'both.cjs')
    await esbuild(project.write('both.mjs', text), 'cjs', out)
    assert.equal((await run(process.execPath, [out], alone)).stdout, 'true\n')
  })
})
