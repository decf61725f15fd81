import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { poll } from '../../src/testing/index.js'
import { useClient, useCluster } from '../support/cluster.js'
import { numberedNames } from '../support/fixtures.js'
import { within } from '../support/slack.js'

const built = join(import.meta.dirname, '../../dist/index.js')

describe('A client', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)

  /** CommonJS that has a client `etcd`, and `say()` for messages to the parent. */
  function program(body: string): string {
    return `
      const { parentPort } = require('node:worker_threads')
      const say = (text) => parentPort ? parentPort.postMessage(text) : process.send(text)
      const { Etcd } = require(${JSON.stringify(built)})
      const etcd = new Etcd(${JSON.stringify({ endpoints: cluster.endpoints })})
      ;(async () => { ${body} })()`
  }

  function worker(t: TestContext, body: string): Worker {
    const started = new Worker(program(body), { eval: true })
    t.after(() => started.terminate())
    return started
  }

  test('in a thread that is terminated disturbs no other thread, and its lock is granted after its TTL', async (t) => {
    const holder = worker(
      t,
      "await etcd.lock('threads', { ttlSeconds: 2 }); say('held'); for (;;) await etcd.put('a', 'x')",
    )
    const writer = worker(t, "for (let n = 0; ; n += 1) say((await etcd.put('b', String(n))).revision)")
    assert.deepEqual(await once(holder, 'message'), ['held'])
    const waiting = etcd.lock('threads')
    await holder.terminate()
    const terminatedAt = performance.now()
    const lock = await waiting
    assert.ok(performance.now() - terminatedAt < within(4000))
    await lock.release()
    // Messages of the writer continue to arrive, and the cluster has the client's connection no longer.
    await once(writer, 'message')
    await writer.terminate()
  })

  test('is closed in a thread, which then ends', async (t) => {
    const thread = worker(
      t,
      "await etcd.put('c', 'x'); etcd.informer({ prefix: '' }); await etcd.lease.grant(60); await etcd.close()",
    )
    assert.deepEqual(await once(thread, 'exit'), [0])
  })

  test('in a forked process follows its watch without a gap after the process was stopped for longer than its lease lives', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-fork-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'child.cjs')
    const body = `
      const lease = await etcd.lease.grant(2)
      const watcher = etcd.watch({ prefix: 'stopped/' })
      await watcher.ready()
      say(lease.id)
      for await (const event of watcher) say([event.keyText, lease.isAlive()])`
    writeFileSync(file, program(body))
    const child = fork(file, { execArgv: [] })
    t.after(() => child.kill('SIGKILL'))
    const [lease] = await once(child, 'message')
    const received: [string, boolean][] = []
    child.on('message', (message) => received.push(message as [string, boolean]))
    child.kill('SIGSTOP')
    const names = numberedNames(300).map((name) => `stopped/${name}`)
    const stoppedAt = performance.now()
    for (const name of names) await etcd.put(name, '')
    await poll('the lease ends', async () => (await etcd.lease.timeToLive(String(lease))) === undefined || undefined)
    assert.ok(performance.now() - stoppedAt > 1500)
    child.kill('SIGCONT')
    await poll('all events arrive', () => received.length >= names.length || undefined)
    assert.deepEqual(
      received,
      names.map((name) => [name, false]),
    )
  })
})
