import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Etcd, isEtcdError } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { runScript } from '../support/child.js'
import { useCluster, useProxy } from '../support/cluster.js'
import { createClient } from '../support/fixtures.js'
import { within } from '../support/slack.js'

/** How long a process may take to exit after its client is closed. */
const exitMs = 1000

describe('A process', () => {
  const cluster = useCluster({ members: 3, proxy: true })
  const proxy = useProxy(cluster)

  /** Runs `body` in a process with a client `etcd`, and returns what it prints and how long it went on afterwards. */
  async function run(body: string, options: object = {}) {
    const source = `
      import { setTimeout as sleep } from 'node:timers/promises'
      import { channels, Etcd, isEtcdError } from './src/index.ts'
      const etcd = new Etcd(${JSON.stringify({ endpoints: cluster.endpoints, ...options })})
      const outcome = (call) => call.then(() => 'ok', (error) => isEtcdError(error) ? error.code : String(error))
      const until = async (condition) => { while (!condition()) await sleep(5) }
      const stdio = ['PipeWrap', 'TTYWrap']
      const held = () => process.getActiveResourcesInfo().filter((name) => !stdio.includes(name))
      ${body}
      const endedAt = performance.now()
      setTimeout(() => console.log('held by', held()), ${exitMs / 2}).unref()
      process.on('exit', () => console.log('ended in', performance.now() - endedAt))
    `
    const { code, stdout, stderr } = await runScript(source)
    assert.deepEqual([code, stderr], [0, ''], `${stdout}${stderr}`)
    const [, printed = '', tookMs] = /^(.*)ended in (.*)\n$/s.exec(stdout) ?? []
    return { printed: printed.trim(), tookMs: Number(tookMs) }
  }

  /** Asserts that the process exits after `body`, and returns what it printed. */
  async function assertEnds(body: string, options?: object): Promise<string> {
    const { printed, tookMs } = await run(body, options)
    assert.ok(tookMs < within(exitMs), `it ended ${tookMs} ms later: ${printed}`)
    return printed
  }

  /** Loses everything on a connection of the first member from the moment that a call names the key `silence`. */
  function silenceOnDemand(): void {
    let silent = false
    proxy.onData((bytes) => {
      if (bytes.includes('silence')) silent = true
      return silent ? 'drop' : undefined
    })
  }

  describe('exits after `close()`', () => {
    test('after calls', async () => {
      const body = `
        await etcd.put('key', 'value')
        await Promise.all(Array.from({ length: 50 }, () => etcd.get('key')))
        for await (const { key } of etcd.list({ prefix: 'key' })) console.log(String(key))
        await etcd.close()
      `
      assert.equal(await assertEnds(body), 'key')
    })

    test('without any call', async () => {
      await assertEnds('await etcd.close()')
      await assertEnds('await etcd.close()', { memberSync: { intervalMs: 100_000 } })
    })

    test('while the client connects', async () => {
      proxy.blackhole()
      const body = `
        const connecting = outcome(etcd.connect())
        const call = outcome(etcd.get('key'))
        await sleep(50)
        await etcd.close()
        console.log(await connecting, await call)
      `
      assert.equal(await assertEnds(body, { endpoints: proxy.endpoint }), 'CLOSED CLOSED')
    })

    test('with calls in flight', async () => {
      const body = `
        await etcd.connect()
        const calls = [outcome(etcd.get('key')), outcome(etcd.put('key', 'value')), outcome(etcd.update('key', () => 'b'))]
        await etcd.close()
        console.log(...await Promise.all(calls))
      `
      assert.equal(await assertEnds(body), 'CLOSED CLOSED CLOSED')
    })

    test('with calls that are never answered', async () => {
      silenceOnDemand()
      const body = `
        await etcd.connect()
        const calls = [outcome(etcd.put('silence', '')), outcome(etcd.get('key')), outcome(etcd.connect())]
        await sleep(50)
        await etcd.close()
        console.log(...await Promise.all(calls))
      `
      assert.equal(await assertEnds(body, { endpoints: proxy.endpoint }), 'CLOSED CLOSED ok')
    })

    test('with an ejected member and an unreachable one', async () => {
      silenceOnDemand()
      const body = `
        await etcd.connect()
        await until(() => etcd.endpoints().filter(({ state }) => state === 'ready').length === 3)
        while (etcd.endpoints()[0].state !== 'ejected') await etcd.get('silence')
        await etcd.close()
        console.log(etcd.endpoints().map(({ state }) => state).join())
      `
      const endpoints = [...cluster.endpoints, 'http://127.0.0.1:1']
      assert.equal(await assertEnds(body, { endpoints }), 'closed,closed,closed,closed')
    })

    test('while retries wait and nothing else does', async () => {
      // Every attempt of a read breaks its connection, so that it waits longer and longer between them.
      proxy.onData((bytes) => (bytes.includes('silence') ? 'reset' : undefined))
      const body = `
        await etcd.connect()
        let attempts = 0
        channels.attempt.subscribe(() => { attempts += 1 })
        const calls = Array.from({ length: 200 }, () => outcome(etcd.get('silence', { timeoutMs: 60_000 })))
        await until(() => attempts > 1000)
        const closedAt = performance.now()
        await etcd.close()
        console.log(new Set(await Promise.all(calls)), performance.now() - closedAt < 1000)
      `
      const options = { endpoints: proxy.endpoint, batching: { reads: false } }
      assert.equal(await assertEnds(body, options), "Set(1) { 'CLOSED' } true")
    })

    test('after a failed connect', async () => {
      const body = `
        console.log(await outcome(etcd.connect()), await outcome(etcd.get('key')))
        await etcd.close()
      `
      const nowhere = { endpoints: 'http://127.0.0.1:1', connectTimeoutMs: 200 }
      assert.equal(await assertEnds(body, nowhere), 'NOT_CONNECTED NOT_CONNECTED')
    })

    test('after endpoints were replaced', async () => {
      const body = `
        await etcd.get('key')
        etcd.setEndpoints('${cluster.endpoints[1]}')
        const call = outcome(etcd.get('key'))
        await etcd.close()
        console.log(await call)
      `
      assert.equal(await assertEnds(body), 'CLOSED')
    })

    test('after a thousand clients opened and closed', async () => {
      const body = `
        for (let count = 0; count < 100; count += 1) {
          const clients = Array.from({ length: 10 }, () => new Etcd('${cluster.endpoints[1]}'))
          await Promise.all(clients.map((client, index) => index < 2 ? client.get('key') : undefined))
          await Promise.all(clients.map((client) => client.close()))
        }
        await etcd.close()
      `
      await assertEnds(body)
    })
  })

  test('is not kept alive by an idle client', async () => {
    await assertEnds('')
    await assertEnds(`await etcd.put('key', 'value')`, { memberSync: { intervalMs: 100 } })
  })

  test('is kept alive by a call until it settles', async () => {
    const body = `
      outcome(etcd.get('first')).then((result) => console.log('first', result))
      etcd.get('key').then(() => etcd.put('key', 'late')).then(() => console.log('written'))
      await new Promise((resolve) => setImmediate(resolve))
    `
    const source = `
      import { Etcd } from './src/index.ts'
      const etcd = new Etcd('${cluster.endpoints[1]}')
      const outcome = (call) => call.then(() => 'ok')
      ${body}
    `
    const { code, stdout } = await runScript(source)
    assert.deepEqual([code, stdout], [0, 'first ok\nwritten\n'])
    proxy.blackhole()
    const waiting = `
      import { Etcd } from './src/index.ts'
      const etcd = new Etcd({ endpoints: '${proxy.endpoint}', connectTimeoutMs: 300 })
      etcd.get('key').catch(({ code }) => console.log(code))
    `
    assert.deepEqual(await runScript(waiting), { code: 0, stdout: 'NOT_CONNECTED\n', stderr: '' })
  })
})

describe('`close()`', () => {
  const cluster = useCluster({ proxy: true })
  const proxy = useProxy(cluster)

  async function assertDisconnected(): Promise<void> {
    await poll('no connection is left', () => proxy.connections === 0 || undefined)
  }

  test('can be called repeatedly and concurrently, and leaves no connection', async (t) => {
    const etcd = createClient(t, cluster)
    await etcd.get('key')
    assert.equal(proxy.connections, 1)
    await Promise.all([etcd.close(), etcd.close()])
    await etcd.close()
    await assertDisconnected()
    assert.deepEqual(
      etcd.endpoints().map(({ state, inFlight }) => [state, inFlight]),
      [['closed', 0]],
    )
  })

  test('rejects calls in flight immediately and reports their effect', async (t) => {
    const etcd = createClient(t, cluster)
    await etcd.connect()
    proxy.blackhole()
    const calls = [etcd.get('key'), etcd.put('key', 'value'), etcd.txn().commit(), etcd.count('key')]
    const settled = Promise.allSettled(calls)
    const startedAt = performance.now()
    await etcd.close()
    const results = await settled
    const tookMs = performance.now() - startedAt
    assert.ok(tookMs < within(100), `it took ${tookMs} ms`)
    assert.deepEqual(
      results.map((result) => (result.status === 'rejected' ? [result.reason.code, result.reason.effect] : 'ok')),
      [
        ['CLOSED', 'none'],
        ['CLOSED', 'unknown'],
        ['CLOSED', 'none'],
        ['CLOSED', 'none'],
      ],
    )
    proxy.heal()
    await assertDisconnected()
  })

  test('runs at the end of an `await using` block, however it is left', async () => {
    let kept: Etcd | undefined
    await assert.rejects(async () => {
      await using etcd = new Etcd(cluster.endpoints.join())
      kept = etcd
      await etcd.get('key')
      throw new Error('left')
    }, /left/)
    await assert.rejects(kept?.get('key') ?? assert.fail(), (error) => isEtcdError(error, 'CLOSED'))
    await assertDisconnected()
  })

  test('does not affect other clients', async (t) => {
    const [closing, staying] = [createClient(t, cluster), createClient(t, cluster)]
    await Promise.all([closing.get('key'), staying.get('key')])
    const calls = Array.from({ length: 20 }, () => staying.put('key', 'value'))
    await closing.close()
    await Promise.all(calls)
    await poll('one connection is left', () => proxy.connections === 1 || undefined)
    await staying.get('key')
  })

  test('emits nothing, and nothing is emitted afterwards', async (t) => {
    const etcd = createClient(t, cluster, { memberSync: { intervalMs: 5 } })
    const events: unknown[] = []
    await etcd.get('key')
    for (const name of [
      'endpointLost',
      'endpointEjected',
      'endpointReady',
      'endpointsChanged',
      'syncFailed',
    ] as const) {
      etcd.on(name, (payload) => events.push([name, payload]))
    }
    const underWay = etcd.get('key')
    await etcd.close()
    await assert.rejects(underWay, { code: 'CLOSED' })
    await assertDisconnected()
    assert.deepEqual(events, [])
  })
})
