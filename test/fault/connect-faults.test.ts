import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, isEtcdError } from '../../src/index.js'
import { poll, reservePort } from '../../src/testing/index.js'
import { runScript } from '../support/child.js'
import { startCluster, useCluster, useProxy } from '../support/cluster.js'
import { memberAt } from '../support/cluster-view.js'
import { within } from '../support/slack.js'

/** Runs a call and returns how long it took. */
async function timed<Result>(call: () => Promise<Result>): Promise<{ result: Result; tookMs: number }> {
  const startedAt = performance.now()
  const result = await call()
  return { result, tookMs: performance.now() - startedAt }
}

describe('Connecting', () => {
  const cluster = useCluster({ members: 3, proxy: true })
  const proxy = useProxy(cluster)

  /** A URL where nobody listens. */
  async function closedEndpoint(): Promise<string> {
    const { port, release } = await reservePort()
    after(release)
    return `http://127.0.0.1:${port}`
  }

  test('skips a closed port', async () => {
    await using etcd = new Etcd({ endpoints: [await closedEndpoint(), ...cluster.endpoints.slice(1)] })
    const { tookMs } = await timed(() => etcd.put('closed port', 'value'))
    assert.ok(tookMs < within(500), `the first call took ${tookMs} ms`)
    await Promise.all(Array.from({ length: 30 }, () => etcd.get('closed port')))
  })

  test('skips a member that resets connections immediately', async () => {
    proxy.refuse()
    await using etcd = new Etcd({ endpoints: cluster.endpoints })
    const { tookMs } = await timed(() => etcd.put('reset', 'value'))
    assert.ok(tookMs < within(500), `the first call took ${tookMs} ms`)
    await Promise.all(Array.from({ length: 30 }, () => etcd.get('reset')))
  })

  test('skips a member that accepts connections and never answers', async () => {
    proxy.blackhole()
    await using etcd = new Etcd({ endpoints: cluster.endpoints })
    const { tookMs } = await timed(() => etcd.put('silent', 'value'))
    assert.ok(tookMs < within(1000), `the first call took ${tookMs} ms`)
    const { tookMs: readMs } = await timed(() => Promise.all(Array.from({ length: 30 }, () => etcd.get('silent'))))
    assert.ok(readMs < within(500), `the reads took ${readMs} ms`)
  })

  test('fails with `EMFILE` while the process has no free file descriptor, and works once it has', async () => {
    const source = `
      import { closeSync, openSync } from 'node:fs'
      import { Etcd } from './src/index.js'

      const client = () => new Etcd({ endpoints: '${cluster.endpoints[1]}' })
      // Modules are loaded when they are needed, which takes file descriptors.
      const first = client()
      await first.connect()
      await first.close()
      const etcd = client()
      const files = []
      const fill = () => { for (;;) files.push(openSync('/dev/null')) }
      try { fill() } catch ({ code }) { console.log(code) }
      const { code, effect, message } = await etcd.put('files', '1', { timeoutMs: 500 }).catch((error) => error)
      console.log(code, effect, message.includes('EMFILE'))
      const waiting = etcd.put('files', '2')
      files.forEach(closeSync)
      await waiting
      console.log((await etcd.get('files')).valueText)
      await etcd.close()`
    const { code, stdout, stderr } = await runScript(source, {}, 200)
    assert.deepEqual([code, stderr], [0, ''])
    assert.equal(stdout, 'EMFILE\nNOT_CONNECTED none true\n2\n')
  })

  test('fails with the cause of every endpoint when all ports are closed', async () => {
    const endpoints = [await closedEndpoint(), await closedEndpoint()]
    await using etcd = new Etcd({ endpoints, connectTimeoutMs: 1000 })
    const startedAt = performance.now()
    await assert.rejects(etcd.put('key', 'value'), (error) => {
      assert.ok(isEtcdError(error, 'NOT_CONNECTED'))
      assert.equal(error.effect, 'none')
      for (const endpoint of endpoints) {
        assert.ok(error.message.includes(`${endpoint} (connect ECONNREFUSED`), error.message)
      }
      return true
    })
    const tookMs = performance.now() - startedAt
    assert.ok(tookMs < within(1250), `it took ${tookMs} ms`)
  })

  test('repeats refused attempts with increasing delays', async () => {
    proxy.refuse()
    const before = proxy.refused
    await using etcd = new Etcd({ endpoints: memberAt(cluster, 0).endpoint, connectTimeoutMs: 500 })
    await assert.rejects(etcd.get('key'), (error) => isEtcdError(error, 'NOT_CONNECTED'))
    await sleep(2500)
    const attempts = proxy.refused - before
    assert.ok(attempts >= 2 && attempts <= 12, `${attempts} connections in 3 s`)
    proxy.heal()
    await poll('it is connected again', () => etcd.endpoints()[0]?.state === 'ready' || undefined)
    await etcd.get('key')
  })

  test('fails at the deadline when a single member never answers', async () => {
    proxy.blackhole()
    await using etcd = new Etcd({ endpoints: memberAt(cluster, 0).endpoint })
    for (const call of [() => etcd.get('key', { timeoutMs: 700 }), () => etcd.put('key', '', { timeoutMs: 700 })]) {
      const startedAt = performance.now()
      await assert.rejects(
        call(),
        (error) => isEtcdError(error, 'NOT_CONNECTED') || isEtcdError(error, 'DEADLINE_EXCEEDED'),
      )
      const tookMs = performance.now() - startedAt
      assert.ok(tookMs < within(950), `it took ${tookMs} ms`)
    }
  })

  test("ends a call's wait when a single member answers again", async () => {
    proxy.refuse()
    await using etcd = new Etcd({ endpoints: memberAt(cluster, 0).endpoint })
    const call = etcd.get('key')
    await sleep(300)
    proxy.heal()
    assert.equal(await call, undefined)
  })

  test('ignores proxies named by the environment', async () => {
    const source = `
      import { Etcd } from './src/index.ts'
      const etcd = new Etcd({ endpoints: '${cluster.endpoints[1]}', connectTimeoutMs: 3000 })
      await etcd.put('proxied', 'value')
      console.log('ok')
    `
    const nowhere = 'http://127.0.0.1:1'
    const env = { https_proxy: nowhere, http_proxy: nowhere, grpc_proxy: nowhere, no_proxy: '', NO_PROXY: '' }
    assert.deepEqual(await runScript(source, env), { code: 0, stdout: 'ok\n', stderr: '' })
  })
})

describe('A client created before etcd starts', () => {
  test('connects once etcd starts and sends the waiting calls', async (t) => {
    const cluster = await startCluster(t)
    await cluster.kill(0)
    await using etcd = new Etcd({ endpoints: cluster.endpoints, connectTimeoutMs: 300 })
    await assert.rejects(etcd.get('key'), (error) => isEtcdError(error, 'NOT_CONNECTED'))
    await using patient = new Etcd({ endpoints: cluster.endpoints, connectTimeoutMs: 10_000 })
    const waiting = patient.put('key', 'value')
    await sleep(500)
    await cluster.restart(0)
    const restartedAt = performance.now()
    await waiting
    const tookMs = performance.now() - restartedAt
    assert.ok(tookMs < within(3000), `the waiting call took ${tookMs} ms after the start`)
    await sleep(Math.max(0, 2500 - tookMs))
    assert.equal((await etcd.get('key'))?.valueText, 'value')
  })
})
