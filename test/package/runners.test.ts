import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { EtcdCluster } from '../../src/testing/index.js'
import { PackedPackage, run } from './packed-package.js'
import { toolModules } from './tools.js'

const body = `
  const etcd = new Etcd({ endpoints: process.env.ETCD, transport: process.env.TRANSPORT })
  await etcd.put('key', 'value')
  expect((await etcd.get('key')).valueText).toBe('value')
  const lease = await etcd.lease.grant(60)
  expect(await etcd.lease.list()).toContain(lease.id)
  await etcd.close()`

const required = `
  const { Etcd, EtcdError } = require('etcdkit')
  const { WorkQueue } = require('etcdkit/workqueue')
  test('works', async () => { ${body} })
  test('recognizes the errors of Node, which are of another realm', async () => {
    const { mkdtempSync } = require('node:fs')
    const { EtcdCluster } = require('etcdkit/testing')
    const cluster = await EtcdCluster.start()
    const { endpoints } = cluster
    const etcd = new Etcd({ endpoints, transport: process.env.TRANSPORT })
    const persist = mkdtempSync(require('node:os').tmpdir() + '/etcdkit-jest-') + '/state'
    const informer = etcd.informer({ prefix: 'a' }, { persist })
    const errors = []
    informer.on('error', ({ error }) => errors.push(error))
    await informer.ready()
    expect(errors).toEqual([])
    await etcd.close()
    await cluster.stop()
    const other = new Etcd({ endpoints, transport: process.env.TRANSPORT, connectTimeoutMs: 100 })
    await expect(other.get('key')).rejects.toThrow(/\\(connect ECONNREFUSED/)
    await other.close()
  })
  test('has its subpaths', () => expect([typeof EtcdError, typeof WorkQueue]).toEqual(['function', 'function']))`

const imported = (globals: string) => `
  ${globals}
  import { Etcd } from 'etcdkit'
  test('works', async () => { ${body} })`

describe('A project that uses the package in its tests', () => {
  let project: PackedPackage
  let cluster: EtcdCluster
  let tools: string

  before(async () => {
    ;[project, cluster, tools] = await Promise.all([PackedPackage.install(), EtcdCluster.start(), toolModules()])
  })
  after(async () => {
    project?.[Symbol.dispose]()
    await cluster?.stop()
  })

  const runIn = async (folder: string, runner: string, args: readonly string[], NODE_OPTIONS = '') => {
    const program = join(tools, '.bin', runner)
    for (const TRANSPORT of ['grpc-js', 'http2']) {
      const variables = { NODE_OPTIONS, TRANSPORT, ETCD: cluster.endpoints.join(','), CI: 'true' }
      await run(program, args, join(project.folder, folder), variables)
    }
  }

  test('runs in Jest unchanged, by require and by an import that Babel translates', async () => {
    const plugin = '@babel/plugin-transform-modules-commonjs'
    project.link(join(tools, plugin), `node_modules/${plugin}`)
    project.write('jest/package.json', '{"name":"jest-project"}')
    project.write('jest/babel.config.json', JSON.stringify({ plugins: [plugin] }))
    project.write('jest/required.test.js', required)
    project.write('jest/imported.test.js', imported(''))
    await runIn('jest', 'jest', ['--runInBand'])
  })

  test('runs in Jest with ES modules', async () => {
    project.write('jest-esm/package.json', '{"name":"jest-esm-project","type":"module"}')
    project.write('jest-esm/imported.test.js', imported(''))
    await runIn('jest-esm', 'jest', ['--transform', '{}', '--runInBand'], '--experimental-vm-modules --no-warnings')
  })

  test('runs in Vitest', async () => {
    project.link(join(tools, 'vitest'), 'node_modules/vitest')
    project.write('vitest/package.json', '{"name":"vitest-project","type":"module"}')
    project.write('vitest/imported.test.js', imported("import { expect, test } from 'vitest'"))
    await runIn('vitest', 'vitest', ['run'])
  })
})
