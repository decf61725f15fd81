import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { poll } from '../../src/testing/index.js'
import { useClient, useCluster } from '../support/cluster.js'
import { CliProcess, cli, jsonLines } from './run-cli.js'

describe('check perf', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)
  const check = (...args: string[]) => cli(['check', 'perf', ...args], { endpoints: cluster.endpoints })

  test('writes at the rate of the load, and leaves no key', async () => {
    const { status, stdout, stderr } = await check('--duration', '2s', '--auto-compact', '--auto-defrag', '--json')
    const [{ passed, rate, failed, writesPerSecond } = {}] = jsonLines(stdout)
    assert.deepEqual({ stderr, rate, failed }, { stderr: '', rate: 150, failed: 0 })
    assert.ok(Number(writesPerSecond) <= 160, `${writesPerSecond}/s`)
    assert.equal(status, passed === true ? 0 : 3)
    assert.equal(await etcd.count({ prefix: '/etcdctl-check-perf/' }), 0)
  })

  test('fails with status 3 if the slowest write takes more than half a second', async () => {
    const run = new CliProcess(['check', 'perf', '--load=medium', '--duration=2s'], { endpoints: cluster.endpoints })
    await poll('it has written', async () => (await etcd.count({ prefix: '/etcdctl-check-perf/' })) > 0 || undefined)
    await cluster.pause(0)
    await sleep(700)
    await cluster.resume(0)
    assert.equal(await run.end(), 3)
    assert.match(run.stdout, /^FAIL: Slowest request took too long: [\d.]+s$/m)
    assert.match(run.stdout, /FAIL\n$/)
    assert.equal(await etcd.count({ prefix: '/etcdctl-check-perf/' }), 0)
  })

  test('refuses a prefix that has keys, an unknown load and an empty prefix', async () => {
    await etcd.put('taken/1', '')
    const { status, stderr } = await check('--prefix', 'taken/')
    assert.equal(status, 1)
    assert.match(stderr, /the prefix taken\/ has keys: delete them with etcdkit del --prefix taken\//)
    assert.match((await check('--load', 'huge')).stderr, /--load must be one of s, m, l, xl/)
    assert.match((await check('--prefix', '')).stderr, /--prefix must have at least one letter/)
    assert.equal(await etcd.count('taken/1'), 1)
  })
})
