import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { LockLostError, LockTimeoutError, put } from '../../src/index.js'
import { findEtcd } from '../../src/testing/etcd-binary.js'
import { poll } from '../../src/testing/index.js'
import { useClient, useCluster } from '../support/cluster.js'
import { storedKeys } from '../support/cluster-view.js'

describe('An election', () => {
  const cluster = useCluster({ members: 3 })
  const first = useClient(cluster)
  const second = useClient(cluster)
  const third = useClient(cluster)

  const untilCandidates = (name: string, count: number) =>
    poll(`${count} candidates`, async () => (await storedKeys(cluster, `${name}/`)).length === count || undefined)

  test('signals the loss to its leader as soon as the key is deleted', async () => {
    const leader = await first.election('watched').campaign('me')
    // It is watched from the beginning, not only when it has been held for a while.
    assert.equal(first.stats().watches.filter(({ keyText }) => keyText === leader.keyText).length, 1)
    const lost = once(leader.signal, 'abort')
    await second.delete(leader.keyText)
    await lost
    assert.ok(!leader.isLeader() && leader.signal.reason instanceof LockLostError)
    await leader.resign()
    assert.deepEqual(first.stats().watches, [])
  })

  test('has one leader at a time, in the order of their campaigns', async () => {
    const leader = await first.election('order').campaign('first')
    const campaigns = []
    for (const [index, etcd] of [second, third].entries()) {
      campaigns.push(etcd.election('order').campaign(`number ${index + 2}`))
      await untilCandidates('order', index + 2)
    }
    assert.equal((await third.election('order').leader())?.valueText, 'first')
    await leader.resign()
    assert.equal(leader.isLeader(), false)
    const [next, last] = campaigns
    const two = await next
    assert.equal((await third.election('order').leader())?.valueText, 'number 2')
    await two?.resign()
    const three = await last
    assert.ok(leader.fence < (two?.fence ?? 0) && (two?.fence ?? 0) < (three?.fence ?? 0))
    await three?.resign()
    assert.equal(await first.election('order').leader(), null)
    await untilCandidates('order', 0)
  })

  test('is observed: only the current leader, its proclamations, and no leader', async () => {
    const election = first.election('observed')
    const seen: (string | null)[] = []
    const abort = new AbortController()
    const observing = (async () => {
      for await (const leader of third.election('observed').observe({ signal: abort.signal }))
        seen.push(leader === null ? null : leader.valueText)
    })()
    await poll('the observer has begun', () => seen.length === 1 || undefined)
    const leader = await election.campaign('a')
    const candidate = second.election('observed').campaign('b')
    await untilCandidates('observed', 2)
    await leader.proclaim('a again')
    await leader.resign()
    await (await candidate).resign()
    await poll('the observer has seen the end', () => seen.length === 5 || undefined)
    assert.deepEqual(seen, [null, 'a', 'a again', 'b', null])
    await assert.rejects(leader.proclaim('too late'), LockLostError)
    abort.abort()
    await assert.rejects(observing, { name: 'AbortError' })
  })

  test('skips a candidate that withdraws, and leaves no key of it', async () => {
    const leader = await first.election('given up').campaign('first')
    await assert.rejects(second.election('given up').campaign('second', { timeoutMs: 300 }), LockTimeoutError)
    const last = third.election('given up').campaign('third')
    await untilCandidates('given up', 2)
    await leader.resign()
    await (await last).resign()
    await untilCandidates('given up', 0)
  })

  test('never elects a candidate whose lease expired, and notifies a leader of its loss', async () => {
    const leader = await first.election('lost', { ttlSeconds: 2 }).campaign('first')
    const waiting = second.election('lost', { ttlSeconds: 2 }).campaign('second')
    await untilCandidates('lost', 2)
    const behind = third.election('lost').campaign('third')
    await untilCandidates('lost', 3)
    const candidate = (await storedKeys(cluster, 'lost/')).find(({ value }) => value === 'second')
    await third.lease.revoke(candidate?.key.split('/').at(-1) ?? '')
    await poll('the second comes last', async () => {
      const revisions = new Map(
        (await storedKeys(cluster, 'lost/')).map(({ value, modRevision }) => [value, modRevision]),
      )
      return (revisions.get('second') ?? 0) > (revisions.get('third') ?? 0) || undefined
    })
    await third.lease.revoke(leader.keyText.split('/').at(-1) ?? '')
    if (!leader.signal.aborted) await once(leader.signal, 'abort')
    assert.equal(leader.isLeader(), false)
    const next = await behind
    assert.ok(next.isLeader())
    assert.equal((await first.txn().if(leader.guard()).then(put('guarded', '')).commit()).succeeded, false)
    assert.equal((await first.txn().if(next.guard()).then(put('guarded', '')).commit()).succeeded, true)
    await next.resign()
    await (await waiting).resign()
  })

  test('interoperates with etcdctl elect', async () => {
    const { etcdctl = '' } = await findEtcd()
    const rival = spawn(etcdctl, ['--endpoints', cluster.endpoints.join(), 'elect', 'shared', 'from etcdctl'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    try {
      await untilCandidates('shared', 1)
      assert.equal((await first.election('shared').leader())?.valueText, 'from etcdctl')
      const campaign = first.election('shared').campaign('from here')
      await untilCandidates('shared', 2)
      rival.kill('SIGINT')
      await once(rival, 'exit')
      const leader = await campaign
      assert.match(await cluster.etcdctl('get', '--prefix', 'shared/'), /from here/)
      await leader.resign()
    } finally {
      rival.kill('SIGKILL')
    }
  })
})
