import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, isEtcdError, LockTimeoutError, LockUnavailableError, put } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { runScript } from '../support/child.js'
import { startCluster, useClient, useCluster } from '../support/cluster.js'
import { storedKeys } from '../support/cluster-view.js'
import { createClient } from '../support/fixtures.js'

describe('Locks of one client', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)
  const other = useClient(cluster)

  const keysOf = async (name: string) => (await storedKeys(cluster, `${name}/`)).map(({ key }) => key)
  const untilQueued = (name: string, count: number) =>
    poll(`${count} keys are queued`, async () => (await keysOf(name)).length === count || undefined)

  test('are one lock, whichever namespace reaches them', async (t) => {
    const scoped = createClient(t, cluster, { namespace: 'tenant/' })
    const lock = await etcd.namespace('tenant/').lock('job')
    for (const taken of [
      etcd.namespace('tenant/').tryLock('job'),
      etcd.namespace('ten').namespace('ant/').tryLock('job'),
      etcd.tryLock('tenant/job'),
      scoped.tryLock('job'),
      scoped
        .namespace('job')
        .tryLock('x')
        .then((free) => free.release())
        .then(() => scoped.tryLock('job')),
    ])
      await assert.rejects(taken, LockUnavailableError)
    assert.equal(lock.keyText.startsWith('job/'), true)
    await assert.rejects(
      etcd.tryLock('tenant/job'),
      (error) => isEtcdError(error, 'LOCK_UNAVAILABLE') && error.holder?.keyText === `tenant/${lock.keyText}`,
    )
    const guarded = etcd.namespace('tenant/').txn().if(lock.guard()).then(put('written', ''))
    assert.equal((await guarded.commit()).succeeded, true)
    const waiting = etcd.lock('tenant/job')
    await lock.release()
    const next = await waiting
    assert.ok(next.fence > lock.fence)
    assert.equal((await etcd.txn().if(next.guard()).then(put('written', '')).commit()).succeeded, true)
    assert.equal((await guarded.commit()).succeeded, false)
    await assert.rejects(scoped.tryLock('job'), (error) => {
      assert.ok(error instanceof LockUnavailableError)
      return error.holder?.keyText === next.keyText.replace('tenant/', '')
    })
    await next.release()
  })

  test('have one holder at a time, each with its own fence, through batchers and namespaces in any order', async (t) => {
    const scoped = createClient(t, cluster, { namespace: 'shared/' })
    const facades = [
      [etcd, 'shared/a'],
      [etcd.batcher(), 'shared/a'],
      [etcd.batcher().batcher().namespace('shared/'), 'a'],
      [etcd.namespace('shared/').batcher(), 'a'],
      [etcd.namespace('sha').batcher().namespace('red/'), 'a'],
      [scoped, 'a'],
      [scoped.batcher(), 'a'],
    ] as const
    const fences: number[] = []
    let holders = 0
    const hold = async (take: () => Promise<{ fence: number; end(): Promise<void> }>) => {
      const { fence, end } = await take()
      holders += 1
      assert.equal(holders, 1)
      await sleep(2)
      fences.push(fence)
      holders -= 1
      await end()
    }
    const locking = facades.flatMap(([keyspace, name]) => {
      const lock = async () => {
        const taken = await keyspace.lock(name)
        return { fence: taken.fence, end: () => taken.release() }
      }
      const lockAll = async () => {
        const taken = await keyspace.lockAll([name, `${name}/b`])
        return { fence: taken.fence(name), end: () => taken.release() }
      }
      const campaign = async () => {
        const taken = await keyspace.election(name).campaign(name)
        return { fence: taken.fence, end: () => taken.resign() }
      }
      return [hold(lock), hold(lockAll), hold(campaign)]
    })
    await Promise.all(locking)
    assert.equal(new Set(fences).size, 21)
    assert.deepEqual(
      fences,
      fences.toSorted((a, b) => a - b),
    )
    assert.deepEqual(await keysOf('shared'), [])
  })

  test('are one election, whichever object reaches it', async () => {
    const leader = await etcd.election('one').campaign('first')
    const second = etcd.election('one').campaign('second')
    await assert.rejects(etcd.election('one').campaign('third', { timeoutMs: 200 }), LockTimeoutError)
    assert.equal((await keysOf('one')).length, 1)
    await leader.resign()
    assert.equal((await other.election('one').leader())?.valueText, 'second')
    const next = await second
    assert.ok(next.isLeader() && !leader.isLeader())
    await next.proclaim('second again')
    assert.equal((await etcd.txn().if(next.guard()).then(put('guarded', '')).commit()).succeeded, true)
    assert.equal((await etcd.txn().if(leader.guard()).then(put('guarded', '')).commit()).succeeded, false)
    await next.resign()
  })

  test('are handed over to locks alone: each leader has a separate key', async () => {
    const lock = await etcd.lock('mixed')
    const waiting = [
      etcd.election('mixed').campaign('first'),
      etcd.election('mixed').campaign('second'),
      etcd.lock('mixed'),
      etcd.lock('mixed'),
    ]
    await lock.release()
    const versions: (number | undefined)[] = []
    for (const each of waiting) {
      const held = await each
      versions.push((await storedKeys(cluster, 'mixed/'))[0]?.version)
      await held[Symbol.asyncDispose]()
    }
    assert.deepEqual(versions, [1, 1, 1, 2])
  })

  test('keep their place in the queue when the caller that entered it gives up', async (t) => {
    const lock = await other.lock('place')
    const abort = new AbortController()
    const leaving = etcd.lock('place', { signal: abort.signal })
    const staying = etcd.lock('place')
    await untilQueued('place', 2)
    const behind = createClient(t, cluster).lock('place')
    await untilQueued('place', 3)
    abort.abort(new Error('no longer'))
    await assert.rejects(leaving, /no longer/)
    await lock.release()
    const fences = [staying, behind].map(async (waiting) => {
      await using taken = await waiting
      return taken.fence
    })
    const [first = 0, second = 0] = await Promise.all(fences)
    assert.ok(first < second, `${first}, ${second}`)
  })

  test('have the TTL and the value that their caller chose, however they are taken', async () => {
    const options = { ttlSeconds: 4, value: 'host' }
    const takes = [
      etcd.lock('chosen/lock', options),
      etcd.lockAll(['chosen/all'], options),
      etcd.rwLock('chosen/rw').write(options),
      etcd.semaphore('chosen/semaphore', 1).acquire(options),
      etcd.election('chosen/election', { ttlSeconds: 4 }).campaign('host'),
      etcd.doubleBarrier('chosen/barrier', 1, { ttlSeconds: 4 }).enter(),
    ]
    const taken = await Promise.all<AsyncDisposable>(takes)
    const { kvs } = await etcd.range({ prefix: 'chosen/' })
    const holders = kvs.filter(({ lease }) => lease !== undefined)
    const leases = new Set(holders.map(({ lease }) => lease))
    assert.deepEqual([holders.length, leases.size], [6, 1])
    assert.equal((await etcd.lease.timeToLive(holders[0]?.lease ?? ''))?.ttlSeconds, 4)
    const values = holders.map(({ keyText, valueText }) => [keyText.split('/')[1], valueText])
    assert.deepEqual(
      values.filter(([, value]) => value !== 'host'),
      [['barrier', '']],
    )
    await Promise.all(taken.map((one) => one[Symbol.asyncDispose]()))
  })

  test('are granted at once with another lease when somebody has revoked that of the client', async (t) => {
    const client = createClient(t, cluster)
    const options = { ttlSeconds: 60, timeoutMs: 5000 }
    const lock = await client.lock('revoked', options)
    await lock.release()
    await other.lease.revoke(lock.keyText.split('/').at(-1) ?? '')
    const next = await client.lock('revoked', options)
    assert.notEqual(next.keyText, lock.keyText)
    await next.release()
  })

  test('do not wait for locks whose names extend theirs', async () => {
    const part = await other.lock('orders/1')
    const parts = await other.lock('orders/1/2')
    const whole = await etcd.lock('orders', { timeoutMs: 2000 })
    await assert.rejects(other.tryLock('orders'), (error) => {
      assert.ok(error instanceof LockUnavailableError)
      return error.holder?.keyText === whole.keyText
    })
    await whole.release()
    const tried = await etcd.tryLock('orders')
    const waiting = other.lock('orders')
    await untilQueued('orders', 4)
    await tried.release()
    await (await waiting).release()
    await part.release()
    await parts.release()
    const leader = await other.election('group/a').campaign('of the part')
    assert.equal(await etcd.election('group').leader(), null)
    for await (const seen of etcd.election('group').observe()) {
      assert.equal(seen, null)
      break
    }
    await leader.resign()
  })

  test('are not re-entrant, and report that immediately where it is detectable', async () => {
    const refused = {
      name: 'InvalidArgumentError',
      message: /lock "(ag)?ain" is held by the caller: locks are not re-entrant/,
    }
    await etcd.withLock('again', {}, async () => {
      await assert.rejects(etcd.lock('again'), refused)
      await assert.rejects(
        etcd.withLock('again', {}, () => {}),
        refused,
      )
      await assert.rejects(etcd.namespace('ag').lock('ain'), refused)
      await assert.rejects(etcd.tryLock('again'), LockUnavailableError)
      await (await etcd.lock('another')).release()
    })
    await using _ = await etcd.lock('again')
    await assert.rejects(etcd.lock('again', { timeoutMs: 100 }), (error) => {
      assert.ok(error instanceof LockTimeoutError)
      return /this client holds it, and locks are not re-entrant/.test(error.message)
    })
  })

  test('can be acquired again by work that was started under them and outlives them', async () => {
    const started = await etcd.withLock('started', {}, () => ({
      later: (async () => {
        await sleep(50)
        return etcd.withLock('started', {}, () => 'done')
      })(),
    }))
    assert.equal(await started.later, 'done')
  })

  test('show the value of their holder, also after the first waiter left', async () => {
    const lock = await other.lock('left', { value: 'other' })
    const leaving = etcd.lock('left', { value: 'leaving', timeoutMs: 200 })
    const staying = etcd.lock('left', { value: 'staying' })
    const short = etcd.lock('left', { value: 'short', ttlSeconds: 3 })
    await assert.rejects(leaving, LockTimeoutError)
    await lock.release()
    const taken = await staying
    assert.deepEqual(
      (await storedKeys(cluster, 'left/')).map(({ key, value }) => [key, value]),
      [[taken.keyText, 'staying']],
    )
    assert.equal((await etcd.txn().if(taken.guard()).then(put('guarded', '')).commit()).succeeded, true)
    assert.ok(taken.fence > lock.fence && taken.remainingMs > 4000)
    await taken.release()
    const last = await short
    assert.ok(last.fence > taken.fence && last.remainingMs <= 3000)
    await last.release()
  })

  test('have the TTL of their holder, also after the first waiter left', async () => {
    const lock = await other.lock('ttl')
    const leaving = etcd.lock('ttl', { ttlSeconds: 60, timeoutMs: 200 })
    const staying = etcd.lock('ttl', { ttlSeconds: 3 })
    await assert.rejects(leaving, LockTimeoutError)
    await lock.release()
    const taken = await staying
    assert.ok(taken.isHeld() && taken.remainingMs <= 3000)
    await taken.release()
  })

  test("keep waiting when the history with their predecessor's deletion is compacted", async (t) => {
    const proxied = await startCluster(t, { proxy: true })
    await using holder = new Etcd({ endpoints: proxied.members.map(({ clientUrl }) => clientUrl) })
    await using waiter = new Etcd({ endpoints: proxied.endpoints })
    const lock = await holder.lock('compacted')
    const waiting = waiter.lock('compacted', { ttlSeconds: 60 })
    await poll('two are queued', async () => (await storedKeys(proxied, 'compacted/')).length === 2 || undefined)
    proxied.members[0]?.proxy?.refuse()
    proxied.members[0]?.proxy?.cut()
    await lock.release()
    const { revision } = await holder.put('later', '')
    await holder.compact(revision)
    proxied.members[0]?.proxy?.accept()
    const taken = await waiting
    assert.ok(taken.fence > lock.fence)
    await taken.release()
  })

  test('queue again when somebody deleted their key', async () => {
    const lock = await other.lock('deleted')
    const waiting = etcd.lock('deleted')
    await untilQueued('deleted', 2)
    const [key = ''] = (await keysOf('deleted')).filter((each) => each !== lock.keyText)
    const before = (await storedKeys(cluster, key))[0]?.modRevision ?? 0
    await other.delete(key)
    const isBack = async () => ((await storedKeys(cluster, key))[0]?.modRevision ?? 0) > before || undefined
    await poll('the key is back', isBack)
    await lock.release()
    await (await waiting).release()
  })

  test('are lost immediately when somebody deletes their key or revokes their lease', async () => {
    const client = new Etcd({ endpoints: cluster.endpoints })
    const lock = await client.lock('taken away', { ttlSeconds: 600 })
    const leader = await client.election('taken away too').campaign('me')
    // Within this time it is not noticed before the lease is renewed.
    await sleep(1100)
    const next = other.lock('taken away')
    const rival = other.election('taken away too').campaign('you')
    await untilQueued('taken away', 2)
    await other.delete(lock.keyText)
    await other.delete(leader.keyText)
    await poll('both are lost', () => (lock.signal.aborted && leader.signal.aborted) || undefined)
    assert.match(String(lock.signal.reason), /lock "taken away" was lost: its key was deleted/)
    assert.ok(!lock.isHeld() && !leader.isLeader())
    const [taken, elected] = await Promise.all([next, rival])
    assert.ok(taken.fence > lock.fence && elected.fence > leader.fence)
    const again = client.lock('taken away', { ttlSeconds: 600 })
    await untilQueued('taken away', 2)
    await taken.release()
    const last = await again
    await sleep(1100)
    await other.lease.revoke(last.keyText.split('/').at(-1) ?? '')
    await poll('the revocation is noticed', () => last.signal.aborted || undefined)
    await elected.resign()
    await client.close()
  })

  test('released twice, or after their loss, are released once', async (t) => {
    const lock = await etcd.lock('twice')
    const [first, second] = [lock.release(), lock.release()]
    assert.equal(first, second)
    await first
    await (await other.lock('twice')).release()
    const client = createClient(t, cluster)
    const lost = await client.lock('twice')
    await other.lease.revoke(lost.keyText.split('/').at(-1) ?? '')
    const next = await other.lock('twice')
    await lost.release()
    assert.ok(next.isHeld() && !lost.isHeld())
    assert.deepEqual(await keysOf('twice'), [next.keyText])
    await next.release()
  })

  test('held or awaited when the client is closed end, and leave nothing', async () => {
    const client = new Etcd({ endpoints: cluster.endpoints })
    const lock = await other.lock('closed/awaited')
    const held = await client.lock('closed/held', { ttlSeconds: 30 })
    const settled = Promise.allSettled([
      client.lock('closed/held', { ttlSeconds: 30 }),
      client.lock('closed/awaited', { ttlSeconds: 40 }),
      client.election('closed/awaited').campaign('me'),
      client.withLock('closed/awaited', {}, () => {}),
    ])
    await untilQueued('closed', 3)
    await client.close()
    assert.ok(!held.isHeld() && held.signal.aborted)
    for (const outcome of await settled) {
      assert.ok(outcome.status === 'rejected')
      assert.ok(isEtcdError(outcome.reason, 'CLOSED'), String(outcome.reason))
    }
    assert.deepEqual(await keysOf('closed'), [lock.keyText])
    await held.release()
    await lock.release()
    await assert.rejects(client.lock('closed/held'), { code: 'CLOSED' })
    await assert.rejects(client.tryLock('closed/held'), { code: 'CLOSED' })
    await poll('no lease but those in use is left', async () => (await other.lease.list()).length <= 2 || undefined)
  })

  test('do not keep the process alive once the client is closed', async () => {
    const source = `
      import { Etcd } from './src/index.ts'
      const etcd = new Etcd({ endpoints: ${JSON.stringify(cluster.endpoints)} })
      const lock = await etcd.lock('child')
      const waiting = etcd.lock('child').catch(({ code }) => console.log(code))
      await etcd.close()
      await waiting
      console.log(lock.isHeld(), lock.signal.aborted)`
    const { stdout, code, stderr } = await runScript(source)
    assert.deepEqual([stdout, code, stderr], ['CLOSED\nfalse true\n', 0, ''])
  })
})
