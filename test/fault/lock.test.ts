import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isEtcdError, LockLostError, LockTimeoutError, put } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { startCluster, useClient, useCluster, useDirectClient, useProxy } from '../support/cluster.js'
import { memberAt, proxyAt, received, storedKeys } from '../support/cluster-view.js'
import { createClient } from '../support/fixtures.js'
import { within } from '../support/slack.js'

const root = join(import.meta.dirname, '../..')

describe('A lock over a broken link', () => {
  const cluster = useCluster({ proxy: true })
  const proxy = useProxy(cluster)
  const other = useDirectClient(cluster)

  before(async () => {
    // Not through the proxy.
  })

  const keysOf = (name: string) => storedKeys(cluster, `${name}/`)
  const untilQueued = (name: string, count: number) =>
    poll(`${count} keys are queued`, async () => (await keysOf(name)).length === count || undefined)

  /** Loses the answer to the next transaction that the member has applied, by cutting the connection. */
  async function loseAnswer<Result>(act: () => Promise<Result>): Promise<{ result: Promise<Result>; cut: () => void }> {
    const seen = () => memberAt(cluster, 0).metric('grpc_server_handled_total', { grpc_method: 'Txn' })
    const count = await seen()
    proxy.onData((_, { direction }) => (direction === 'down' ? 'drop' : undefined))
    const result = act()
    result.catch(() => {})
    await poll('the member has applied it', async () => (await seen()) > count || undefined)
    const cut = (): void => {
      proxy.onData(undefined)
      proxy.cut()
    }
    return { result, cut }
  }

  test('has a greater fence than earlier holders, whichever answer was lost', async (t) => {
    const etcd = createClient(t, cluster)
    const first = await other.lock('fence')
    await (await etcd.lock('warm up')).release()
    const { result, cut } = await loseAnswer(() => etcd.lock('fence'))
    await untilQueued('fence', 2)
    // By hand-over, so the waiter's queue entry was created before.
    const second = other.lock('fence')
    await first.release()
    const before = await second
    await before.release()
    await untilQueued('fence', 1)
    cut()
    const lock = await result
    assert.ok(lock.fence > before.fence, `${lock.fence} came after ${before.fence}`)
    assert.equal((await etcd.txn().if(lock.guard()).then(put('guarded', '')).commit()).succeeded, true)
    await lock.release()
    assert.deepEqual(await keysOf('fence'), [])
  })

  test('is handed over and released once when the answer is lost', async (t) => {
    const etcd = createClient(t, cluster)
    const lock = await etcd.lock('handed', { value: 'first' })
    const next = etcd.lock('handed', { value: 'second' })
    const handing = await loseAnswer(() => lock.release())
    handing.cut()
    await handing.result
    const taken = await next
    const [stored, ...more] = await keysOf('handed')
    assert.deepEqual([stored?.version, stored?.value, more], [2, 'second', []])
    assert.equal(taken.fence, stored?.modRevision)
    assert.equal((await etcd.txn().if(taken.guard()).then(put('guarded', '')).commit()).succeeded, true)
    const releasing = await loseAnswer(() => taken.release())
    const theirs = await other.lock('handed')
    releasing.cut()
    await releasing.result
    assert.ok(theirs.isHeld() && theirs.fence > taken.fence)
    assert.deepEqual((await keysOf('handed')).length, 1)
    await theirs.release()
  })

  test('is not handed over when its lease ends before the answer', async (t) => {
    const etcd = createClient(t, cluster)
    const lock = await etcd.lock('ended', { ttlSeconds: 2 })
    const next = etcd.lock('ended', { ttlSeconds: 2 })
    const { keyText } = lock
    const rewrites = async () => (await keysOf('ended')).find(({ key }) => key === keyText)?.version
    proxy.blackhole('down')
    const releasing = lock.release()
    await poll('the member has applied the hand-over', async () => (await rewrites()) === 2 || undefined)
    await untilQueued('ended', 0)
    proxy.heal()
    const taken = await next
    assert.ok(taken.isHeld() && !taken.signal.aborted)
    assert.notEqual(taken.keyText, keyText)
    await releasing
    await taken.release()
  })

  test('leaves no key when the request is aborted before its answer', async (t) => {
    const etcd = createClient(t, cluster)
    for (const take of [
      () => etcd.lock('given up', { timeoutMs: 1500 }),
      () => etcd.tryLock('given up', { timeoutMs: 1500 }),
    ]) {
      await (await etcd.lock('warm up')).release()
      const { result, cut } = await loseAnswer(take)
      await assert.rejects(result, LockTimeoutError)
      assert.equal((await keysOf('given up')).length, 1)
      cut()
      await untilQueued('given up', 0)
    }
    await (await other.tryLock('given up')).release()
  })

  test('waits through an outage, or until its time limit, and reports the reason', async (t) => {
    const etcd = createClient(t, cluster, { connectTimeoutMs: 200, timeoutMs: 500 })
    proxy.refuse()
    const startedAt = performance.now()
    await assert.rejects(etcd.lock('outage', { timeoutMs: 1000 }), (error) => {
      assert.ok(error instanceof LockTimeoutError)
      return isEtcdError(error.cause, 'NOT_CONNECTED')
    })
    await assert.rejects(etcd.tryLock('outage', { timeoutMs: 20_000 }), { code: 'NOT_CONNECTED' })
    const waiting = etcd.lock('outage')
    await sleep(500)
    proxy.accept()
    const lock = await waiting
    proxy.blackhole()
    await assert.rejects(etcd.tryLock('another', { timeoutMs: 300 }), LockTimeoutError)
    assert.ok(performance.now() - startedAt < within(15_000))
    proxy.heal()
    await lock.release()
    await poll('no key is left', async () => (await storedKeys(cluster, 'another/')).length === 0 || undefined)
  })

  test('is lost at its deadline when its holder is cut off, before another client holds it', async (t) => {
    const etcd = createClient(t, cluster)
    const lock = await etcd.lock('cut off', { ttlSeconds: 2 })
    const expiresAt = performance.now() + lock.remainingMs
    const next = other.lock('cut off', { ttlSeconds: 2 })
    await untilQueued('cut off', 2)
    const lostAt = new Promise<number>((resolve) => {
      lock.signal.addEventListener('abort', () => resolve(performance.now()))
    })
    proxy.blackhole()
    const taken = next.then(async (theirs) => ({ theirs, at: performance.now() }))
    assert.ok((await lostAt) >= expiresAt - 1000)
    assert.ok(lock.signal.reason instanceof LockLostError && !lock.isHeld() && lock.remainingMs === 0)
    const { theirs, at } = await taken
    assert.ok(at > (await lostAt))
    assert.ok(theirs.fence > lock.fence)
    await lock.release()
    proxy.heal()
    assert.equal((await etcd.txn().if(lock.guard()).then(put('guarded', 'old')).commit()).succeeded, false)
    assert.equal((await other.txn().if(theirs.guard()).then(put('guarded', 'new')).commit()).succeeded, true)
    await theirs.release()
  })

  test('moves to the end of the queue when its lease expires while waiting, and its old entry is never granted', async (t) => {
    const etcd = createClient(t, cluster)
    const lock = await other.lock('expired')
    const waiting = etcd.lock('expired', { ttlSeconds: 1 })
    await untilQueued('expired', 2)
    const third = createClient(t, { endpoints: [memberAt(cluster, 0).clientUrl] })
    const behind = third.lock('expired')
    await untilQueued('expired', 3)
    proxy.blackhole()
    await untilQueued('expired', 2)
    await lock.release()
    const passed = await behind
    proxy.heal()
    await untilQueued('expired', 2)
    await passed.release()
    const last = await waiting
    assert.ok(last.isHeld() && last.fence > passed.fence)
    await last.release()
  })

  test('has observers that report the current leader after the history was compacted', async (t) => {
    const observer = createClient(t, cluster)
    const observed: (string | undefined)[] = []
    void (async () => {
      for await (const seen of observer.election('observed').observe()) observed.push(seen?.valueText)
    })().catch(() => {})
    await poll('the observer has begun', () => observed.length === 1 || undefined)
    await (await other.election('observed').campaign('first')).proclaim('first again')
    await poll('the observer continues', () => observed.at(-1) === 'first again' || undefined)
    proxy.refuse()
    proxy.cut()
    const third = createClient(t, { endpoints: [memberAt(cluster, 0).clientUrl] })
    const waiting = third.election('observed').campaign('third')
    await untilQueued('observed', 2)
    for (const { key } of (await keysOf('observed')).filter(({ value }) => value === 'first again'))
      await other.delete(key)
    const leader = await waiting
    const { revision } = await other.put('later', '')
    await other.compact(revision)
    proxy.accept()
    await poll('the observer reports the third', () => observed.at(-1) === 'third' || undefined)
    await leader.resign()
    await poll('the observer reports no leader', () => observed.at(-1) === undefined || undefined)
    assert.deepEqual(observed.slice(-4), ['first', 'first again', 'third', undefined])
  })

  test('does not report leadership after its lease expired while waiting', async (t) => {
    const etcd = createClient(t, cluster)
    const leader = await other.election('zombie').campaign('leader')
    const waiting = etcd.election('zombie', { ttlSeconds: 1 }).campaign('candidate')
    await untilQueued('zombie', 2)
    const observed: (string | undefined)[] = []
    const observer = createClient(t, { endpoints: [memberAt(cluster, 0).clientUrl] })
    void (async () => {
      for await (const seen of observer.election('zombie').observe()) observed.push(seen?.valueText)
    })().catch(() => {})
    await poll('the observer has begun', () => observed.length > 0 || undefined)
    proxy.blackhole()
    await untilQueued('zombie', 1)
    await leader.resign()
    await poll('nobody leads', () => observed.length > 1 || undefined)
    proxy.heal()
    const elected = await waiting
    assert.ok(elected.isLeader() && elected.fence > leader.fence)
    await elected.resign()
    await poll('the observer has seen all', () => observed.length === 4 || undefined)
    assert.deepEqual(observed, ['leader', undefined, 'candidate', undefined])
  })
})

describe('A lock whose request arrives late', () => {
  test('blocks nobody when a member creates its key after it was aborted', async (t) => {
    const cluster = await startCluster(t, { members: 3, proxy: true })
    const options = { timeoutMs: 700 }
    const etcd = createClient(t, cluster, options)
    const other = createClient(t, { endpoints: cluster.members.map(({ clientUrl }) => clientUrl) })
    // A part in the lease that is not given back, as of a leader.
    const leader = await etcd.lock('leader')
    for (const index of [0, 1, 2]) {
      const member = memberAt(cluster, index)
      const proxy = proxyAt(cluster, index)
      // With a lease at hand, so that the requests are sent at once.
      await (await etcd.lock('warm up')).release()
      const before = await received(member, 'Txn')
      proxy.blackhole('up')
      const waits = Array.from({ length: 6 }, (_, each) =>
        etcd.lock(`late/${index}/${each}`, { timeoutMs: 100 }).then((lock) => lock.release()),
      )
      await Promise.allSettled(waits)
      // Longer than the bound of a call: they go on elsewhere, and clean up.
      await sleep(800)
      proxy.heal()
      await poll('the member has got them late', async () => (await received(member, 'Txn')) > before || undefined)
    }
    const isFree = async () => (await storedKeys(cluster, 'late/')).length === 0 || undefined
    await poll('no key is left', isFree)
    await (await other.lock('late/0/0', { timeoutMs: 5000 })).release()
    assert.ok(leader.isHeld())
    await leader.release()
  })
})

describe('A lock whose holder does not run', () => {
  const cluster = useCluster({ members: 3 })
  const etcd = useClient(cluster)

  /** A process that holds the lock and prints what it finds when it runs again after a second or more. */
  function holder(name: string, stall: string) {
    const source = `
      import { Etcd, put } from './src/index.ts'
      const etcd = new Etcd({ endpoints: ${JSON.stringify(cluster.endpoints)} })
      const lock = await etcd.lock('${name}', { ttlSeconds: 1 })
      const { signal } = lock
      let aborted = false
      signal.addEventListener('abort', () => { aborted = true })
      console.log(lock.fence)
      ${stall}
      const found = [lock.signal.aborted, lock.isHeld(), lock.remainingMs, signal.reason?.code, signal.reason?.cause?.reason]
      await new Promise((resolve) => setTimeout(resolve, 0))
      console.log(JSON.stringify([...found, aborted]))
      const { succeeded } = await etcd.txn().if(lock.guard()).then(put('${name} written', '')).commit()
      console.log(succeeded)
      await lock.release()
      await etcd.close()`
    const flags = ['--import', './test/support/typescript.js', '--input-type=module', '--eval', source]
    const child = spawn(process.execPath, flags, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    return { child, exited: once(child, 'exit'), line: async () => String((await lines.next()).value) }
  }

  const found = JSON.stringify([true, false, 0, 'LOCK_LOST', 'stalled', true])

  test('is lost immediately when a blocked event loop resumes', async () => {
    const { exited, line } = holder(
      'blocked',
      'const until = performance.now() + 3000; while (performance.now() < until);',
    )
    const fence = Number(await line())
    const lock = await etcd.lock('blocked')
    assert.ok(lock.fence > fence)
    assert.deepEqual([await line(), await line()], [found, 'false'])
    assert.ok(lock.isHeld())
    await lock.release()
    await exited
  })

  test('is lost immediately when a stopped process resumes', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-lock-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'go-on')
    const wait = `
      const { existsSync } = await import('node:fs')
      while (!existsSync('${file}')) await new Promise((resolve) => setImmediate(resolve))`
    const { child, exited, line } = holder('stopped', wait)
    const fence = Number(await line())
    child.kill('SIGSTOP')
    const lock = await etcd.lock('stopped')
    writeFileSync(file, '')
    child.kill('SIGCONT')
    assert.ok(lock.fence > fence)
    assert.deepEqual([await line(), await line()], [found, 'false'])
    assert.ok(lock.isHeld())
    await lock.release()
    await exited
  })
})
