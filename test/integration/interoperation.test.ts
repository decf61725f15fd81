import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { before, describe, type TestContext, test } from 'node:test'
import { isEtcdError, key, LockTimeoutError } from '../../src/index.js'
import { findEtcd } from '../../src/testing/etcd-binary.js'
import { poll } from '../../src/testing/index.js'
import { useClient, useCluster } from '../support/cluster.js'
import { storedKeys } from '../support/cluster-view.js'
import { createClient, uniquePrefix, untyped } from '../support/fixtures.js'

describe('Locks and elections of other clients', () => {
  const cluster = useCluster({ members: 3 })
  const etcd = useClient(cluster)
  let etcdctl: string

  before(async () => {
    etcdctl = (await findEtcd()).etcdctl ?? assert.fail('there is no etcdctl')
  })

  const someName = () => `${uniquePrefix()}shared`
  const untilKeys = (name: string, count: number) =>
    poll(`${count} keys`, async () => (await storedKeys(cluster, `${name}/`)).length === count || undefined)

  /** An etcdctl that runs until the end of the test. */
  function run(t: TestContext, ...args: string[]): ChildProcess & { readonly stdout: NodeJS.ReadableStream } {
    const child = spawn(etcdctl, ['--endpoints', cluster.endpoints.join(), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.after(async () => {
      if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await once(child, 'exit')
    })
    return child
  }

  /** Goes on reading: a program whose output nobody takes any more is ended by its next line, and keeps its lock. */
  function untilPrinted({ stdout }: { readonly stdout: NodeJS.ReadableStream }, text: string): Promise<void> {
    let printed = ''
    return new Promise((resolve, reject) => {
      stdout.on('data', (chunk) => {
        printed += chunk
        if (printed.includes(text)) resolve()
      })
      stdout.on('end', () => reject(new Error(`it has ended without ${text}: ${printed}`)))
    })
  }

  test('a leader of etcdctl is followed by a candidate of this client, and vice versa', async (t) => {
    const name = someName()
    const rival = run(t, 'elect', name, 'from etcdctl')
    await untilKeys(name, 1)
    const election = etcd.election(name)
    assert.equal((await election.leader())?.valueText, 'from etcdctl')
    const campaign = election.campaign('from here')
    await untilKeys(name, 2)
    rival.kill('SIGINT')
    const leader = await campaign
    const observer = run(t, 'elect', '--listen', name)
    await untilPrinted(observer, 'from here')
    const second = run(t, 'elect', name, 'from etcdctl again')
    await untilKeys(name, 2)
    await leader.resign()
    await untilPrinted(second, 'from etcdctl again')
    assert.equal((await election.leader())?.valueText, 'from etcdctl again')
  })

  test('a lock of etcdctl does not wait for a semaphore of the same name', async (t) => {
    const name = someName()
    await using permit = await etcd.semaphore(name, 1).acquire()
    const rival = run(t, 'lock', name)
    await untilPrinted(rival, `${name}/`)
    await assert.rejects(etcd.tryLock(name), { code: 'LOCK_UNAVAILABLE' })
    rival.kill('SIGINT')
    await (await etcd.lock(name, { timeoutMs: 10_000 })).release()
    assert.ok(permit.isHeld())
  })

  test("a lock of the server's lock service waits for this client's lock, and vice versa", async () => {
    const name = someName()
    const lease = await etcd.lease.grant(30)
    const held = await etcd.lockService.lock(name, lease.id)
    assert.equal(held.key.toString(), `${name}/${lease.id}`)
    assert.ok(held.revision > 0)
    assert.ok((await etcd.txn().if(key(held.key).exists()).commit()).succeeded)
    await assert.rejects(etcd.lock(name, { timeoutMs: 100 }), LockTimeoutError)
    const waiting = etcd.lock(name)
    await untilKeys(name, 2)
    await etcd.lockService.unlock(held.key)
    const lock = await waiting
    assert.ok(lock.isHeld())
    const next = etcd.lockService.lock(name, lease.id, { timeoutMs: 30_000 })
    await untilKeys(name, 2)
    await lock.release()
    assert.equal((await next).key.toString(), `${name}/${lease.id}`)
    await lease.revoke()
    await (await etcd.lock(name)).release()
  })

  test("the server's lock service reports an expired lease and leaves no key when a call is aborted", async () => {
    const name = someName()
    const lock = await etcd.lock(name)
    const lease = await etcd.lease.grant(30)
    const early = etcd.lockService.lock(name, lease.id, { timeoutMs: 300 })
    await assert.rejects(early, (error) => isEtcdError(error, 'DEADLINE_EXCEEDED') && error.effect === 'unknown')
    await untilKeys(name, 1)
    await lease.revoke()
    const gone = etcd.lockService.lock(name, lease.id)
    await assert.rejects(gone, (error) => isEtcdError(error, 'LEASE_NOT_FOUND'))
    await lock.release()
  })

  test("a leader of the server's election service and one of this client observe and follow each other", async () => {
    const name = someName()
    const { electionService } = etcd
    assert.equal(await electionService.leader(name), undefined)
    const lease = await etcd.lease.grant(30)
    const leader = await electionService.campaign(name, lease.id, 'from the service')
    assert.deepEqual(
      [leader.name.toString(), leader.key.toString(), leader.lease],
      [name, `${name}/${lease.id}`, lease.id],
    )
    const election = etcd.election(name)
    assert.equal((await election.leader())?.valueText, 'from the service')
    const seen: (string | undefined)[] = []
    const abort = new AbortController()
    const observing = assert.rejects(
      (async () => {
        for await (const kv of electionService.observe(name, { signal: abort.signal })) seen.push(kv.valueText)
      })(),
      { name: 'AbortError' },
    )
    await poll('the service reports the leader', () => seen.length === 1 || undefined)
    await electionService.proclaim(leader, 'proclaimed')
    assert.equal((await electionService.leader(name))?.valueText, 'proclaimed')
    const campaign = election.campaign('from here')
    await untilKeys(name, 2)
    await electionService.resign(leader)
    const here = await campaign
    await poll('the service reports the next one', () => seen.at(-1) === 'from here' || undefined)
    assert.equal(seen[0], 'from the service')
    await assert.rejects(electionService.proclaim(leader, 'too late'), (error) =>
      isEtcdError(error, 'ELECTION_NOT_LEADER'),
    )
    await electionService.resign(leader)
    const next = electionService.campaign(name, lease.id, 'again', { timeoutMs: 30_000 })
    await untilKeys(name, 2)
    await here.resign()
    await next
    assert.equal((await election.leader())?.valueText, 'again')
    abort.abort()
    await observing
    await lease.revoke()
  })

  test("the server's services stay within the client's namespace", async (t) => {
    const at = uniquePrefix()
    const tenant = createClient(t, cluster, { namespace: at })
    const lease = await tenant.lease.grant(30)
    const lock = await tenant.lockService.lock('lock', lease.id)
    assert.equal(lock.key.toString(), `lock/${lease.id}`)
    await assert.rejects(tenant.lock('lock', { timeoutMs: 100 }), LockTimeoutError)
    await tenant.lockService.unlock(lock.key)
    const leader = await tenant.electionService.campaign('election', lease.id, 'me')
    assert.equal(leader.name.toString(), 'election')
    const kv = await tenant.electionService.leader('election')
    assert.equal(kv?.keyText, `election/${lease.id}`)
    for await (const { keyText } of tenant.electionService.observe('election')) {
      assert.equal(keyText, kv?.keyText)
      break
    }
    assert.deepEqual(
      (await storedKeys(cluster, at)).map((stored) => stored.key),
      [`${at}election/${lease.id}`],
    )
    await tenant.electionService.resign(leader)
    await lease.revoke()
  })

  test("the server's services reject wrong arguments by name", async () => {
    const [locks, elections] = [untyped(etcd.lockService), untyped(etcd.electionService)]
    await assert.rejects(
      async () => locks.lock?.('', 'a'),
      (error) => isEtcdError(error, 'EMPTY_KEY'),
    )
    await assert.rejects(async () => locks.lock?.('a', 7), /`lease` must be 1 to 16 hexadecimal digits, got 7/)
    await assert.rejects(async () => locks.lock?.('a', '7', { ttl: 1 }), /unknown option `ttl` of lockService.lock\(\)/)
    await assert.rejects(async () => elections.resign?.(undefined), /`leader` must be the result of campaign\(\)/)
    await assert.rejects(async () => elections.campaign?.('a', '7', 7), /`value` must be a string or bytes, got 7/)
  })
})
