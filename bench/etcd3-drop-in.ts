/**
 * The same program on npm `etcd3` and on `etcdkit/etcd3`, side by side, each in a process of its own: speed, memory, and
 * what happens in situations in which `etcd3` fails.
 *
 *     npm run build && npx tsx bench/etcd3-drop-in.ts
 */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { EtcdCluster } from '../src/testing/index.js'
import { etcd3Folder } from './contenders/etcd3.js'

const libraries: Readonly<Record<string, string>> = {
  etcd3: createRequire(join(etcd3Folder(), 'package.json')).resolve('etcd3'),
  etcdkit: join(import.meta.dirname, '../dist/etcd3/index.js'),
}

const prelude = `
  const { Etcd3 } = require(process.env.LIBRARY)
  const client = new Etcd3({ hosts: process.env.ENDPOINT })
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const settled = (promise, ms) => Promise.race([promise.then(() => 'resolves', (e) => e.constructor.name), sleep(ms).then(() => 'hangs')])
  async function load(workers, ms, call) {
    const [until, cpu] = [performance.now() + ms, process.cpuUsage()]
    let count = 0
    await Promise.all(Array.from({ length: workers }, async () => {
      for (; performance.now() < until; count += 1) await call(count)
    }))
    const { user, system } = process.cpuUsage(cpu)
    return Math.round(count / ms * 1000) + '/s, ' + Math.round((user + system) / count) + ' µs CPU'
  }
  const print = (text) => { console.log(text); process.exit(0) }`

/** One row each: a program that prints its result. */
const rows: Readonly<Record<string, string>> = {
  'put, 64 at a time': `print(await load(64, 3000, (n) => client.put('bench/' + n % 1000).value('x'.repeat(100))))`,
  'get, 64 at a time': `
    await client.put('bench/key').value('x'.repeat(100))
    print(await load(64, 3000, () => client.get('bench/key').buffer()))`,
  'watch, a backlog of 5,000 events': `
    const { header } = await client.put('watched').value('')
    await Promise.all(Array.from({ length: 50 }, async () => { for (let n = 0; n < 100; n++) await client.put('watched').value('x') }))
    const began = performance.now()
    let count = 0
    const watcher = client.watch().key('watched').startRevision(header.revision).watcher()
    await new Promise((resolve) => watcher.on('put', () => { count += 1; if (count === 5001) resolve() }))
    print(Math.round(count / (performance.now() - began) * 1000) + '/s')`,
  '1,000 leases': `
    const before = process.memoryUsage().rss
    await Promise.all(Array.from({ length: 1000 }, () => client.lease(10).grant()))
    await sleep(2000)
    print(Math.round((process.memoryUsage().rss - before) / 2 ** 20) + ' MiB RSS')`,
  'read one key, write a newer one in stm()': `
    await client.put('old').value('1'); await client.put('new').value('1')
    print(await settled(client.stm().transact(async (tx) => { await tx.get('old'); await tx.put('new').value('2') }), 5000))`,
  'role.revoke([permission])': `
    const role = await client.role('bench').create()
    const permission = { permission: 'Read', range: client.range({ prefix: 'p' }) }
    await role.grant(permission); await role.revoke([permission])
    const left = (await role.permissions()).length
    await role.delete()
    print(left === 0 ? 'revoked' : 'still granted')`,
  'do() whose lock is lost meanwhile': `
    const lock = client.lock('bench-lock').ttl(5)
    print(await settled(lock.do(async () => {
      await client.leaseClient.leaseRevoke({ ID: await lock.leaseId() })
      await sleep(3000)
    }), 8000))`,
  'watch().create(), no member answers': `
    print(await settled(new Etcd3({ hosts: '127.0.0.1:1' }).watch().key('a').create(), 15000))`,
  'if().then() without commit()': `
    print(await settled((async () => { await client.if('a', 'Create', '==', 0).then(client.put('a').value('')) })(), 2000))`,
  'one get with a past deadline, then others': `
    await client.get('a').options({ deadline: 1 }).exec().catch(() => {})
    print(await settled(client.get('a').exec(), 2000))`,
  'close() with a watch and a lease': `
    await client.watch().key('a').create(); await client.lease(10).grant(); client.close()
    process.on('exit', () => console.log('exits'))
    setTimeout(() => { console.log('still running after 5 s'); process.reallyExit() }, 5000).unref()`,
}

function resultOf(library: string, endpoint: string, program: string): string {
  const source = `${prelude}\n;(async () => {${program}})()`
  const env = { ...process.env, LIBRARY: library, ENDPOINT: endpoint }
  const { stdout, stderr, signal } = spawnSync(process.execPath, ['-e', source], {
    env,
    encoding: 'utf8',
    timeout: 60_000,
  })
  const [last = ''] = stdout.trim().split('\n').slice(-1)
  return last === '' ? (signal ?? stderr.trim().split('\n').slice(-1)[0] ?? '') : last
}

await using cluster = await EtcdCluster.start()
const [endpoint = ''] = cluster.endpoints
console.log(
  `${''.padEnd(44)} ${Object.keys(libraries)
    .map((name) => name.padEnd(30))
    .join('')}`,
)
for (const [name, program] of Object.entries(rows)) {
  const results = Object.values(libraries).map((library) => resultOf(library, endpoint, program))
  console.log(`${name.padEnd(44)} ${results.map((result) => result.padEnd(30)).join('')}`)
}
