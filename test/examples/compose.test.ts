import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Etcd } from '../../src/index.js'
import { type EtcdBinary, findEtcd, poll, reservePort } from '../../src/testing/index.js'
import { runCommand } from '../../src/testing/run-command.js'
import { npmModules } from '../support/npm-modules.js'

interface Service {
  readonly image: string
  readonly restart: string
  readonly environment: Readonly<Record<string, string>>
  readonly healthcheck: { readonly test: readonly string[] }
  readonly ports: readonly string[]
  readonly volumes: readonly string[]
}

interface Compose {
  readonly name: string
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, null>>
}

const root = join(import.meta.dirname, '../..')

/** One member on this machine, with the settings of its service. */
interface LocalMember {
  readonly service: Service
  readonly child: ChildProcess
  readonly clientUrl: string
}

describe('examples/compose.yaml', () => {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-compose-'))
  const reserved: { readonly port: number; release(): void }[] = []
  let compose: Compose
  let binary: EtcdBinary
  let members: readonly LocalMember[] = []

  before(async () => {
    const modules = await npmModules(join(root, 'scripts/site/package.json'))
    const yaml = createRequire(join(modules, 'x'))('yaml')
    compose = yaml.parse(readFileSync(join(root, 'examples/compose.yaml'), 'utf8'), { merge: true })
    binary = await findEtcd('3.5')
  })
  after(async () => {
    const running = members.filter(({ child }) => child.exitCode === null)
    for (const { child } of running) child.kill('SIGKILL')
    await Promise.all(running.map(({ child }) => once(child, 'exit')))
    for (const { release } of reserved) release()
    rmSync(folder, { recursive: true })
  })

  async function freePort(): Promise<number> {
    const port = await reservePort()
    reserved.push(port)
    return port.port
  }

  /** Starts etcd with the environment of a service; only addresses and the data folder differ. */
  function start(name: string, service: Service, peers: ReadonlyMap<string, number>, clientPort: number): LocalMember {
    const clientUrl = `http://127.0.0.1:${clientPort}`
    const local = (text: string): string =>
      text
        .replaceAll(/http:\/\/(etcd\d):2380/g, (_, peer: string) => `http://127.0.0.1:${peers.get(peer)}`)
        .replace('http://0.0.0.0:2380', `http://127.0.0.1:${peers.get(name)}`)
        .replace(/http:\/\/(?:0\.0\.0\.0|127\.0\.0\.1):2?3?2?379$/, clientUrl)
    const variables = Object.entries(service.environment).map(([key, value]) => [key, local(value)])
    const env = { ...Object.fromEntries(variables), ETCD_DATA_DIR: join(folder, name), PATH: process.env.PATH }
    const child = spawn(binary.etcd, ['--log-level=error'], { env, stdio: 'ignore' })
    return { service, child, clientUrl }
  }

  test('has three services of the official image, which can be reached from this machine only', () => {
    assert.deepEqual(Object.keys(compose).sort(), ['name', 'services', 'volumes', 'x-etcd'])
    const services = Object.entries(compose.services)
    assert.deepEqual(Object.keys(compose.services), ['etcd1', 'etcd2', 'etcd3'])
    for (const [name, { image, ports, volumes, environment, ...others }] of services) {
      assert.match(image, /^gcr\.io\/etcd-development\/etcd:v3\.5\.\d+$/)
      assert.deepEqual(Object.keys(others).sort(), ['healthcheck', 'restart'])
      assert.deepEqual(volumes, [`${name}:${environment.ETCD_DATA_DIR}`])
      assert.ok(name in compose.volumes)
      const [, hostPort] = /^127\.0\.0\.1:(\d+):2379$/.exec(ports.join()) ?? []
      assert.equal(environment.ETCD_ADVERTISE_CLIENT_URLS, `http://127.0.0.1:${hostPort}`)
    }
  })

  test('has settings with which three members form a cluster, and health checks that succeed', async () => {
    const services = Object.entries(compose.services)
    const peers = new Map<string, number>()
    for (const [name] of services) peers.set(name, await freePort())
    members = await Promise.all(services.map(async ([name, service]) => start(name, service, peers, await freePort())))
    await using etcd = new Etcd({ endpoints: members.map(({ clientUrl }) => clientUrl) })
    await poll('the members answer', async () => (await etcd.put('key', 'value', { timeoutMs: 500 })) || undefined)
    assert.deepEqual((await etcd.cluster.list()).map(({ name }) => name).sort(), ['etcd1', 'etcd2', 'etcd3'])
    for (const { service, clientUrl } of members) {
      const [kind, program, ...args] = service.healthcheck.test
      assert.deepEqual([kind, program], ['CMD', 'etcdctl'])
      const url = (text: string) => text.replace('http://127.0.0.1:2379', clientUrl)
      await runCommand(binary.etcdctl ?? assert.fail('there is no etcdctl'), args.map(url))
    }
  })
})
