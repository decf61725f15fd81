import assert from 'node:assert/strict'
import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { EtcdCluster } from '../../src/testing/index.js'
import { devProgram, PackedPackage, run } from './packed-package.js'

const entries = ['', '/naming', '/testing', '/workqueue', '/otel', '/prometheus', '/etcd3']

/** The packages that a script leaves loaded, and whether Node's own HTTP/2 is, which is slow to load, too. */
const showLoaded = `
  const { createRequire } = await import('node:module')
  const files = Object.keys(createRequire(process.cwd() + '/').cache)
  const names = files.map((file) => /.*node_modules.((?:@[^/]+.)?[^/]+)/.exec(file)?.[1])
  console.log([...new Set(names)].filter(Boolean).sort().join())
  console.log(process.moduleLoadList.some((name) => name === 'NativeModule http2'))`

describe('The published package', () => {
  let project: PackedPackage
  let cluster: EtcdCluster

  before(async () => {
    project = await PackedPackage.install()
    cluster = await EtcdCluster.start()
  })
  after(async () => {
    project?.[Symbol.dispose]()
    await cluster?.stop()
  })

  const module = (script: string) => project.node('--input-type=module', '--eval', script)

  test('contains the build with source maps, the sources, the guides, README, CHANGELOG and LICENSE, and nothing else', (t) => {
    const installed = join(project.folder, 'node_modules/etcdkit')
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' }).filter((name) =>
      statSync(join(installed, name)).isFile(),
    )
    const top = files.filter((name) => !/^(dist|docs|src)\//.test(name))
    assert.deepEqual(top.sort(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'])
    assert.ok(files.includes('docs/getting-started.md'))
    assert.ok(files.every((name) => !name.startsWith('src/') || name.endsWith('.ts')))
    const others = files.filter((name) => name.startsWith('dist/') && !/\.(js|js\.map|mjs|d\.ts|d\.mts)$/.test(name))
    const go = ['3.6', '3.7'].flatMap((series) => ['go.mod', 'go.sum', 'main.go'].map((name) => `${series}/${name}`))
    assert.deepEqual(others.sort(), [
      'dist/THIRD-PARTY-LICENSES.txt',
      'dist/esm/package.json',
      'dist/package.json',
      ...go.map((name) => `dist/testing/etcd-servers/${name}`),
    ])
    for (const name of files.filter((name) => name.endsWith('.map'))) {
      const { sources } = JSON.parse(readFileSync(join(installed, name), 'utf8'))
      const missing = sources.filter((source: string) => !existsSync(join(installed, dirname(name), source)))
      // Two dependencies are a part of the build.
      assert.deepEqual(
        missing.filter((source: string) => !source.includes('node_modules')),
        [],
        name,
      )
    }
    const withMap = files.filter((name) =>
      readFileSync(join(installed, name), 'utf8').includes('\n//# sourceMappingURL='),
    )
    assert.deepEqual(
      withMap.map((name) => `${name}.map`).filter((name) => !files.includes(name)),
      [],
    )
    t.diagnostic(`${files.length} files, tarball of ${(statSync(project.tarball).size / 1024).toFixed()} KiB`)
  })

  test('names the packages of its adapters when they are missing', async () => {
    assert.equal(
      (await module("console.log(Object.keys(await import('etcdkit/prometheus')))")).stdout,
      "[ 'expose' ]\n",
    )
    await assert.rejects(module("import 'etcdkit/otel'"), /Cannot find module '@opentelemetry\/api'/)
    project.addAdapterDependencies()
    assert.equal((await module("console.log(Object.keys(await import('etcdkit/otel')))")).stdout, "[ 'instrument' ]\n")
  })

  test('loads two packages on import, and the others with the first connection or call that needs them', async () => {
    const loaded = async (script: string) => (await module(`${script}\n${showLoaded}`)).stdout.trim().split('\n')
    assert.deepEqual(await loaded("await import('etcdkit')"), ['etcdkit,eventemitter3,lru-cache', 'false'])
    const use = (options: string, work: string) => `
      const { Etcd } = await import('etcdkit')
      const etcd = new Etcd({ endpoints: '${cluster.endpoints[0]}', ${options} })
      await etcd.get('key')
      ${work}
      await etcd.close()`
    const [overHttp2 = ''] = await loaded(use("transport: 'http2'", ''))
    assert.equal(overHttp2, 'etcdkit,eventemitter3,lru-cache')
    const [overGrpc = ''] = await loaded(use("transport: 'grpc-js'", ''))
    assert.match(overGrpc, /@grpc\/grpc-js/)
    const definitions = "await (await import('etcdkit')).loadServiceDefinitions()"
    const [all = ''] = await loaded(use("transport: 'http2'", `await etcd.lease.list(); ${definitions}`))
    assert.match(all, /@grpc\/proto-loader/)
    assert.doesNotMatch(all, /@grpc\/grpc-js/)
  })

  test('is one module, imported or required, in every entry point', async () => {
    const script = project.write(
      'both.mjs',
      `import assert from 'node:assert/strict'
      import { createRequire } from 'node:module'
      const require = createRequire(import.meta.url)
      for (const entry of ${JSON.stringify(entries)}) {
        const [imported, required] = [await import('etcdkit' + entry), require('etcdkit' + entry)]
        assert.deepEqual(Object.keys(imported).sort(), Object.keys(required).sort(), entry)
        for (const name of Object.keys(imported)) assert.equal(imported[name], required[name], name)
      }
      const { isEtcdError, InvalidArgumentError } = await import('etcdkit')
      assert.throws(() => new (require('etcdkit/naming').ServiceEndpoints)({}, '', 1), InvalidArgumentError)`,
    )
    await project.node(script)
  })

  test('exports the same names to bundlers', async () => {
    const installed = join(project.folder, 'node_modules/etcdkit')
    const { exports } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
    for (const entry of entries) {
      const { module: file } = exports[`.${entry}`]
      const script = `
        const [one, other] = [await import('etcdkit${entry}'), await import(${JSON.stringify(join(installed, file))})]
        console.log(Object.keys(one).join() === Object.keys(other).join())`
      assert.equal((await module(script)).stdout, 'true\n', entry)
    }
  })

  test('can be imported, and the process exits', async () => {
    assert.equal((await module("import { Etcd } from 'etcdkit'; console.log(typeof Etcd)")).stdout, 'function\n')
  })

  test('can be required from CommonJS', async () => {
    const script = project.write('required.cjs', "const { Etcd } = require('etcdkit'); console.log(typeof Etcd)")
    const { stdout, stderr } = await project.node(script)
    assert.deepEqual({ stdout, stderr }, { stdout: 'function\n', stderr: '' })
  })

  test('has no entry points other than its exports', async () => {
    await assert.rejects(module("import 'etcdkit/dist/esm/client.js'"), /ERR_PACKAGE_PATH_NOT_EXPORTED/)
  })

  test('provides the work queue without loading the client', async () => {
    const script = `
      import { WorkQueue } from 'etcdkit/workqueue'
      const queue = new WorkQueue((key) => console.log(key), { onError: console.error })
      queue.add('a')
      await queue.close()`
    const file = project.write('workqueue.mjs', `${script}\n`)
    const { stdout, stderr } = await project.node(file)
    assert.deepEqual({ stdout, stderr }, { stdout: 'a\n', stderr: '' })
  })

  test('provides the program etcdkit', async () => {
    const installed = join(project.folder, 'node_modules/etcdkit')
    const { bin, version } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
    const path = join(installed, bin.etcdkit)
    assert.ok(readFileSync(path, 'utf8').startsWith('#!/usr/bin/env node\n'))
    const { stdout, stderr } = await project.node(path, '--version')
    assert.deepEqual({ stdout, stderr }, { stdout: `${version}\n`, stderr: '' })
    const load = ['--endpoints', cluster.endpoints.join(','), '--processes', '2', '--clients', '2', '--total', '20']
    const bench = await project.node(path, 'bench', 'put', ...load, '--json')
    assert.equal(JSON.parse(bench.stdout).operations, 20)
  })

  test('builds etcd with Go from its own sources when a release has no package', async () => {
    const asked = join(project.folder, 'asked')
    project.write('bin/go', goProgram)
    chmodSync(join(project.folder, 'bin/go'), 0o755)
    const script = `
      import { findEtcd } from 'etcdkit/testing'
      console.log((await findEtcd('3.7')).version)`
    const variables = {
      PATH: `${join(project.folder, 'bin')}:${process.env.PATH}`,
      XDG_CACHE_HOME: project.folder,
      ASKED: asked,
    }
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script], project.folder, variables)
    assert.match(stdout, /^3\.7\.\d+\n$/)
    assert.match(readFileSync(asked, 'utf8'), /etcd-servers\/3\.7\ngo\.mod\ngo\.sum\nmain\.go\n/)
  })

  test('passes publint and attw', async () => {
    await run(devProgram('publint'), ['run', '--strict', project.tarball], project.folder)
    await run(devProgram('attw'), [project.tarball, '--profile', 'strict'], project.folder)
  })
})

/** A stand-in for the Go toolchain: notes where it is asked to build, and makes a program of the version that is asked for. */
const goProgram = `#!/bin/sh
pwd >> "$ASKED"
ls >> "$ASKED"
version=$(sed -n 's|.*go.etcd.io/etcd/server/v3 v\\([0-9.]*\\)$|\\1|p' go.mod)
while [ "$1" != -o ]; do shift; done
[ -d "$2" ] && exit 0
printf '#!/bin/sh\\necho "etcd Version: %s"\\n' "$version" > "$2"
chmod +x "$2"
`
