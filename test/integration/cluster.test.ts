import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isEtcdError, type Member } from '../../src/index.js'
import { startCluster, useClient, useCluster } from '../support/cluster.js'
import { memberAt } from '../support/cluster-view.js'
import { createClient, untyped } from '../support/fixtures.js'

/** The member with this ID. */
function byId(members: readonly Member[], id: string): Member | undefined {
  return members.find((member) => member.id === id)
}

describe('The members of a cluster', () => {
  const cluster = useCluster({ members: 3, flags: { 'strict-reconfig-check': false } })
  const etcd = useClient(cluster)

  test('are listed linearizably and by one member', async () => {
    const expected = cluster.members.map(({ memberId, name, peerUrl, clientUrl }) => ({
      id: memberId,
      name,
      peerUrls: [peerUrl],
      clientUrls: [clientUrl],
      isLearner: false,
      isStarted: true,
    }))
    const sorted = (members: readonly Member[]) => members.toSorted((a, b) => a.name.localeCompare(b.name))
    assert.deepEqual(sorted(await etcd.cluster.list()), expected)
    const endpoint = cluster.endpoints[1] ?? ''
    assert.deepEqual(sorted(await etcd.cluster.list({ mode: 'serializable', endpoint })), expected)
  })

  test('are added as learners, promoted, updated and removed', async () => {
    const { member, members } = await etcd.cluster.addLearner('http://127.0.0.1:1')
    assert.equal(members.length, 4)
    assert.deepEqual(byId(members, member.id), member)
    assert.deepEqual(
      [member.name, member.clientUrls, member.peerUrls, member.isLearner, member.isStarted],
      ['', [], ['http://127.0.0.1:1'], true, false],
    )
    const refusals: [string, () => Promise<unknown>][] = [
      ['PEER_URL_EXISTS', () => etcd.cluster.add([memberAt(cluster, 0).peerUrl])],
      ['TOO_MANY_LEARNERS', () => etcd.cluster.addLearner('http://127.0.0.1:2')],
      ['MEMBER_NOT_LEARNER', () => etcd.cluster.promote(memberAt(cluster, 0).memberId)],
      ['MEMBER_NOT_FOUND', () => etcd.cluster.remove('abc')],
      ['MEMBER_NOT_FOUND', () => etcd.cluster.update('abc', 'http://127.0.0.1:3')],
      ['PEER_URL_EXISTS', () => etcd.cluster.update(member.id, memberAt(cluster, 0).peerUrl)],
    ]
    for (const [code, call] of refusals) {
      await assert.rejects(call, { code, effect: 'none' }, String(call))
    }
    // It has not even been started; the call asks again until its time is over, which may be in the middle of an attempt.
    const promoting = etcd.cluster.promote(member.id, { timeoutMs: 300 })
    await assert.rejects(promoting, ({ code }) => ['LEARNER_NOT_READY', 'DEADLINE_EXCEEDED'].includes(code))
    const moved = await etcd.cluster.update(member.id, ['http://127.0.0.1:3', 'http://127.0.0.1:4'])
    assert.deepEqual(byId(moved, member.id)?.peerUrls, ['http://127.0.0.1:3', 'http://127.0.0.1:4'])
    assert.equal(byId(await etcd.cluster.remove(member.id), member.id), undefined)
    assert.equal((await etcd.cluster.list()).length, 3)
  })

  test('are promoted once they have caught up', async () => {
    const index = await cluster.addLearner()
    const { memberId } = memberAt(cluster, index)
    assert.equal(byId(await etcd.cluster.list(), memberId)?.isLearner, true)
    assert.equal(byId(await etcd.cluster.promote(memberId), memberId)?.isLearner, false)
    await cluster.removeMember(index)
  })

  test('are listed by a member without quorum, and not linearizably', async (t) => {
    const lonely = await startCluster(t, { members: 2 })
    const etcd = createClient(t, lonely)
    await etcd.connect()
    await lonely.pause(1)
    const [endpoint = ''] = lonely.endpoints
    assert.equal((await etcd.cluster.list({ mode: 'serializable', endpoint })).length, 2)
    if (!lonely.version.startsWith('3.4.')) {
      await assert.rejects(etcd.cluster.list({ endpoint, timeoutMs: 500 }), (error) => isEtcdError(error))
    }
    await lonely.resume(1)
  })

  test('are not requested with invalid arguments', async () => {
    const wrong: [Promise<unknown> | undefined, RegExp][] = [
      [untyped(etcd.cluster).add?.('127.0.0.1:1'), /`peerUrls` must be http:\/\/host:port .* got "127/],
      [untyped(etcd.cluster).add?.([]), /`peerUrls` must be .* got none/],
      [etcd.cluster.remove('xyz'), /`memberId` must be 1 to 16 hexadecimal digits, got "xyz"/],
      [untyped(etcd.cluster).list?.({ mode: 'old' }), /`mode` must be 'linearizable' or 'serializable'/],
      [
        etcd.cluster.list({ endpoint: 'http://127.0.0.1:1' }),
        /`endpoint` must be one of the client's: http.* got "http/,
      ],
      [untyped(etcd.cluster).list?.({ member: 1 }), /unknown option `member` of cluster.list\(\)/],
    ]
    for (const [call, message] of wrong) await assert.rejects(call ?? assert.fail(), message)
  })
})
