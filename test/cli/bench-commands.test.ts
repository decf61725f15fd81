import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { EtcdCluster, poll } from '../../src/testing/index.js'
import { useClient, useCluster } from '../support/cluster.js'
import { CliProcess, cli, jsonLines } from './run-cli.js'

describe('The benchmark of', () => {
  const cluster = useCluster({ members: 3 })
  const etcd = useClient(cluster)

  after(async () => {
    await cluster?.stop()
  })

  interface Result {
    readonly operations: number
    readonly failed: number
    readonly members: readonly { readonly endpoint: string; readonly operations: number }[]
  }

  const bench = async (...args: string[]): Promise<Result> => {
    const { status, stdout, stderr } = await cli(['bench', ...args, '--json'], { endpoints: cluster.endpoints })
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' })
    const [result] = jsonLines(stdout)
    return result as unknown as Result
  }

  test('puts makes all of them, spread over the members, and deletes the keys', async () => {
    const args = ['--total', '300', '--conns', '2', '--clients', '10', '--key-space-size', '50', '--sequential-keys']
    const { operations, failed, members } = await bench('put', ...args)
    assert.deepEqual([operations, failed, members.length], [300, 0, 3])
    assert.equal(await etcd.count({ prefix: 'etcdkit-bench/' }), 0)
  })

  test('reads connects each client to one member, if there are enough clients', async () => {
    const { members } = await bench('range', 'foo', '--total', '30', '--conns', '30', '--clients', '30')
    assert.deepEqual(
      members.map(({ operations }) => operations),
      [10, 10, 10],
    )
  })

  test('puts and reads is shared by several processes', async () => {
    const load = ['--processes', '3', '--total', '200', '--conns', '3', '--clients', '7']
    const before = await cluster.metric('grpc_server_handled_total', { grpc_method: 'Put', grpc_code: 'OK' })
    const puts = await bench('put', ...load, '--key-space-size', '1000', '--sequential-keys', '--keep')
    const after = await cluster.metric('grpc_server_handled_total', { grpc_method: 'Put', grpc_code: 'OK' })
    assert.deepEqual([puts.operations, puts.failed, puts.members.length, after - before], [200, 0, 3, 200])
    assert.equal(await etcd.count({ prefix: 'etcdkit-bench/' }), 200, 'no two processes wrote the same keys')
    await etcd.deleteRange({ prefix: 'etcdkit-bench/' })
    const deleted = await bench('put', ...load, '--key-space-size', '50', '--sequential-keys')
    assert.equal(deleted.operations, 200)
    assert.equal(await etcd.count({ prefix: 'etcdkit-bench/' }), 0)
    assert.equal((await bench('range', 'foo', ...load)).operations, 200)
  })

  test('several processes reports the mistakes and failures of each', async () => {
    const idle = await cli(['bench', 'put', '--processes', '4', '--clients', '2'], { endpoints: cluster.endpoints })
    assert.equal(idle.status, 2)
    assert.match(idle.stderr, /--processes must be at most --clients: got 4 and 2/)
    const lost = ['bench', 'put', '--processes', '2', '--clients', '2', '--dial-timeout', '1s']
    const unreachable = await cli(lost, { endpoints: ['http://127.0.0.1:9'] })
    assert.equal(unreachable.status, 1)
    assert.match(unreachable.stderr, /ECONNREFUSED/)
  })

  test('puts keeps the keys on request, with the requested size', async () => {
    await bench('put', '--total', '20', '--key-size', '12', '--val-size', '99', '--prefix', 'kept/', '--keep')
    const { kvs } = await etcd.range({ prefix: 'kept/' })
    assert.deepEqual(
      kvs.map(({ keyText, value, version }) => [keyText, value.length, version]),
      [['kept/000000000000', 99, 20]],
    )
  })

  test('reads uses the requested mode and rate', async () => {
    const before = await cluster.metric('grpc_server_handled_total', { grpc_method: 'Range', grpc_code: 'OK' })
    const { operations } = await bench('range', 'foo', '--consistency=s', '--total', '100', '--rate', '500')
    assert.equal(operations, 100)
    const after = await cluster.metric('grpc_server_handled_total', { grpc_method: 'Range', grpc_code: 'OK' })
    assert.ok(after - before >= 100)
  })

  test('transactions uses the leader on request', async () => {
    const { operations, members } = await bench('txn-put', '--total', '30', '--txn-ops', '5', '--target-leader')
    assert.equal(operations, 30)
    const leader = cluster.members[await cluster.leader()]
    assert.deepEqual(
      members.map(({ endpoint }) => endpoint),
      [leader?.endpoint],
    )
  })

  test('watches delivers every event to every watcher', async () => {
    const args = ['--streams', '3', '--watch-per-stream', '4', '--watched-key-total', '5', '--put-total', '20']
    // 12 watchers of 5 keys: three of each but the last two keys, which have two.
    const { operations, failed } = await bench('watch', ...args)
    assert.deepEqual([operations, failed], [4 * (3 + 3 + 2 + 2 + 2), 0])
  })

  test('leases leaves no lease', async () => {
    const before = await etcd.lease.list()
    const { operations } = await bench('lease-keepalive', '--total', '50', '--clients', '5')
    assert.equal(operations, 50)
    assert.deepEqual((await etcd.lease.list()).sort(), before.sort())
  })

  test('locks gives each contender its turn', async () => {
    const { operations, failed } = await bench('lock', '--locks', '5', '--contenders', '4', '--conns', '2')
    assert.deepEqual([operations, failed], [20, 0])
    assert.equal(await etcd.count({ prefix: 'etcdkit-bench/' }), 0)
  })

  test('any kind writes a page that loads nothing from elsewhere', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-bench-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'page.html')
    await bench('put', '--total', '50', '--html', path, '--user', 'root:secret-word')
    const page = readFileSync(path, 'utf8')
    assert.match(page, /<svg.*Latency by percentile.*Throughput</s)
    assert.doesNotMatch(page, /secret-word|NaN|undefined|(src|href)="(?!data:)|url\(|<script|@import/)
  })

  test('puts deletes the keys after an interrupt, too', async () => {
    const args = ['bench', 'put', '--total', '1000000', '--rate', '50', '--prefix', 'interrupted/']
    const program = new CliProcess(args, { endpoints: cluster.endpoints })
    await poll('it has begun', async () => ((await etcd.count({ prefix: 'interrupted/' })) > 0 ? true : undefined))
    program.child.kill('SIGINT')
    assert.equal(await program.end(), 130)
    assert.equal(await etcd.count({ prefix: 'interrupted/' }), 0)
  })

  test('puts in several processes deletes the keys after an interrupt', async () => {
    const args = ['bench', 'put', '--processes', '2', '--clients', '2', '--rate', '100', '--key-space-size', '100']
    const running = new CliProcess(args, { endpoints: cluster.endpoints })
    const isBegun = async () => ((await etcd.count({ prefix: 'etcdkit-bench/' })) > 0 ? true : undefined)
    await poll('keys are written', isBegun)
    running.child.kill('SIGINT')
    assert.equal(await running.end(), 130)
    assert.equal(await etcd.count({ prefix: 'etcdkit-bench/' }), 0)
  })

  test('puts and transactions keeps the keys that others have or write under its prefix', async () => {
    for (const command of ['put', 'txn-put']) {
      const prefix = `app-${command}/`
      // The last two are named as keys of the benchmark are.
      const before = ['config', '000000', '00000000', '00000001'].map((name) => prefix + name)
      for (const key of before) await etcd.put(key, 'precious')
      const args = ['bench', command, '--total', '1000000', '--rate', '200', '--prefix', prefix]
      const space = ['--sequential-keys', '--key-space-size', '150']
      const program = new CliProcess([...args, ...space], { endpoints: cluster.endpoints })
      await poll('it writes', async () => ((await etcd.count({ prefix })) >= 152 ? true : undefined))
      const meanwhile = ['config2', '0000003', '00000046', '0000000A', '000000020', '00000002/a'].map(
        (name) => prefix + name,
      )
      for (const key of meanwhile) await etcd.put(key, 'precious')
      program.child.kill('SIGINT')
      assert.equal(await program.end(), 130)
      const { kvs } = await etcd.range({ prefix }, { keysOnly: true })
      assert.deepEqual(kvs.map(({ keyText }) => keyText).sort(), [...before, ...meanwhile].sort())
    }
  })

  test('watches keeps the keys of others', async () => {
    const prefix = 'etcdkit-bench/watch/'
    const others = ['0', '01', '3', 'a', '1e0'].map((name) => prefix + name)
    for (const key of others) await etcd.put(key, 'precious')
    await bench('watch', '--streams', '1', '--watch-per-stream', '3', '--watched-key-total', '3', '--put-total', '9')
    const { kvs } = await etcd.range({ prefix }, { keysOnly: true })
    assert.deepEqual(kvs.map(({ keyText }) => keyText).sort(), others.sort())
    await etcd.deleteRange({ prefix })
  })

  test('logins needs a user, and requests a token each time', async (t) => {
    const refused = await cli(['bench', 'authenticate'], { endpoints: cluster.endpoints })
    assert.deepEqual([refused.status, /needs --user/.test(refused.stderr)], [2, true])
    const secured = await EtcdCluster.start({ auth: { rootPassword: 'secret' } })
    t.after(() => secured.stop())
    const count = (): Promise<number> => secured.metric('grpc_server_handled_total', { grpc_method: 'Authenticate' })
    const before = await count()
    const args = ['bench', 'authenticate', '--user', 'root:secret', '--total', '20', '--clients', '4', '--json']
    const { status, stdout } = await cli(args, { endpoints: secured.endpoints })
    assert.deepEqual([status, jsonLines(stdout)[0]?.operations], [0, 20])
    assert.equal((await count()) - before, 20)
  })

  test('any kind exits with status 1 when every operation fails', async () => {
    const args = ['bench', 'txn-put', '--total', '3', '--txn-ops', '200']
    const { status, stdout } = await cli(args, { endpoints: cluster.endpoints })
    assert.equal(status, 1)
    assert.match(stdout, /Error distribution:\n {2}\[3\]\t.*TOO_MANY_OPS/)
  })
})
