import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { type ClientOptions, type Etcd, isEtcdError } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { storedKeys } from '../support/cluster-view.js'
import { createClient } from '../support/fixtures.js'
import { within } from '../support/slack.js'

/** How long something takes. */
async function took<Result>(work: () => Promise<Result>): Promise<{ readonly result: Result; readonly ms: number }> {
  const startedAt = performance.now()
  const result = await work()
  return { result, ms: performance.now() - startedAt }
}

describe('Calls while etcd is unreachable', () => {
  const cluster = useCluster()

  /** A client that is connected. */
  async function connected(t: TestContext, options: ClientOptions): Promise<Etcd> {
    const etcd = createClient(t, cluster, options)
    await etcd.connect()
    return etcd
  }

  test('wait for their own time limit, however short the connect timeout is', async (t) => {
    const seed = await connected(t, {})
    await seed.queue('mails').enqueue('hello')
    await seed.barrier('held').hold()
    await seed.close()
    await cluster.kill(0)
    // Nothing listens for longer than an attempt to connect may take.
    const etcd = createClient(t, cluster, { connectTimeoutMs: 100 })
    const bounds = { timeoutMs: 30_000 }
    const entering = etcd.doubleBarrier('both', 1).enter(bounds)
    const waits = {
      observe: etcd.election('nobody').observe().next(),
      barrier: etcd.barrier('free').wait(bounds),
      'barrier, without a bound': etcd.barrier('free').wait(),
      dequeue: etcd.queue('mails').dequeue(bounds),
      enter: entering,
      leave: entering.then((entry) => entry.leave(bounds)),
      lock: etcd.lock('lock', bounds),
      lockAll: etcd.lockAll(['a', 'b'], bounds),
      read: etcd.rwLock('rw').read(bounds),
      acquire: etcd.semaphore('s', 1).acquire(bounds),
      campaign: etcd.election('e').campaign('me', bounds),
      watch: etcd.watch('a').ready(bounds),
      informer: etcd.informer('a').ready(bounds),
      value: etcd.value('a').ready(bounds),
      mirror: etcd.mirror('a', etcd.namespace('copy/')).synced(0, bounds),
      connect: etcd.connect(bounds),
    }
    const settled: string[] = []
    for (const [name, wait] of Object.entries(waits)) {
      wait.finally(() => settled.push(name)).catch(() => {})
    }
    // A call has failed in the meantime, as all of these would if they gave up with their calls.
    await assert.rejects(etcd.get('a', bounds), { code: 'NOT_CONNECTED' })
    await assert.rejects(etcd.get('a', bounds), { code: 'NOT_CONNECTED' })
    assert.deepEqual(settled, [])
    await cluster.restart(0)
    await Promise.all(Object.values(waits))
  })

  test("release held locks within a call's time limit, not a lease's", async (t) => {
    const etcd = await connected(t, { timeoutMs: 800, connectTimeoutMs: 400 })
    const hold = { ttlSeconds: 60 }
    const held = {
      lock: await etcd.lock('release/lock', hold),
      next: await etcd.lock('release/next', hold),
      read: await etcd.rwLock('release/rw').read(hold),
      permit: await etcd.semaphore('release/s', 1).acquire(hold),
      both: await etcd.lockAll(['release/a', 'release/b'], hold),
    }
    const leadership = await etcd.election('release/e', hold).campaign('me')
    const entry = await etcd.doubleBarrier('release/d', 1, hold).enter()
    const waiting = etcd.lock('release/next', hold)
    const delayed: string[] = []
    etcd.on('releaseDelayed', ({ kind, keyText, error }) => {
      assert.ok(isEtcdError(error, 'DEADLINE_EXCEEDED') && isEtcdError(error.cause, 'NOT_CONNECTED'), keyText)
      delayed.push(kind)
    })
    const work = async (): Promise<string> => {
      await cluster.kill(0)
      return 'done'
    }
    const done = await took(() => etcd.withLock('release/with', hold, work))
    const proclaiming = leadership.proclaim('late')
    await assert.rejects(proclaiming, { code: 'DEADLINE_EXCEEDED', effect: 'unknown' })
    const rest = [...Object.values(held).map((one) => one.release()), leadership.resign(), entry[Symbol.asyncDispose]()]
    const released = await took(() => Promise.all(rest))
    const failing = etcd.withLock('release/with', { ttlSeconds: 60, timeoutMs: 300 }, () => 'never')
    await assert.rejects(
      failing,
      (error) => isEtcdError(error, 'LOCK_TIMEOUT') && isEtcdError(error.cause, 'NOT_CONNECTED'),
    )
    assert.equal(done.result, 'done')
    assert.ok(done.ms < within(5000) && released.ms < within(5000), `took ${done.ms} and ${released.ms} ms`)
    const kinds = ['barrier', 'election', 'lock', 'lock', 'lock', 'lock', 'lock', 'read', 'semaphore']
    assert.deepEqual(delayed.sort(), kinds)
    // The keys are deleted as soon as the cluster is there: the next holder has the lock long before the lease would end.
    await cluster.restart(0)
    await (await waiting).release()
    // What stays says how many permits there are, and that the barrier was open.
    const stays = /[/~](permits|ready)$/
    const left = async () => (await storedKeys(cluster, 'release/')).filter(({ key }) => !stays.test(key))
    await poll('no key of a holder is left', async () => (await left()).length === 0 || undefined)
  })

  test('do not delay `close()` of anything', async (t) => {
    const etcd = await connected(t, { timeoutMs: 800, connectTimeoutMs: 400 })
    const registration = await etcd.register('closing/r', '1', { ttlSeconds: 60 })
    const lease = await etcd.lease.grant(60)
    const informer = etcd.informer({ prefix: 'closing/' })
    await informer.ready()
    const mirror = etcd.mirror('closing/', etcd.namespace('copy/'))
    await mirror.synced()
    const compactor = etcd.compactor()
    const watch = etcd.watch('closing/')
    await watch.ready()
    await etcd.lock('closing/lock', { ttlSeconds: 60 })
    await cluster.kill(0)
    const closing = await took(() =>
      Promise.allSettled([
        registration.close(),
        lease.revoke(),
        informer.close(),
        mirror.close(),
        compactor.close(),
        watch.close(),
      ]),
    )
    const closed = await took(() => etcd.close())
    assert.ok(closing.ms < within(5000) && closed.ms < within(5000), `took ${closing.ms} and ${closed.ms} ms`)
    await cluster.restart(0)
  })
})
