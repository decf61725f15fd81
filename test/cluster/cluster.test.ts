import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Cluster } from '../../src/cluster/cluster.js'
import { type EndpointDirectory, pinnedTo } from '../../src/transport/connection/endpoint-directory.js'
import { fakeTransport } from '../support/fake-transport.js'

const member = { ID: '7', name: '', peerURLs: ['http://a:2380'], clientURLs: [], isLearner: true }

function cluster() {
  const transport = fakeTransport(() => ({ member, members: [member] }))
  const directory = { routeTo: async (endpoint: string) => pinnedTo(endpoint) } as unknown as EndpointDirectory
  const sent = () =>
    transport.calls.map(({ method, request, context: { timeoutMs, repeatable, route } }) => {
      return [method, request, timeoutMs, repeatable, route.endpoint]
    })
  return { cluster: new Cluster(transport, directory), sent }
}

describe('A call about members', () => {
  test('has its own options, and is repeated only if it changes nothing', async () => {
    const { cluster: members, sent } = cluster()
    const options = { timeoutMs: 7 }
    const peers = { peerURLs: ['http://a:2380'] }
    await members.list(options)
    await members.list({ ...options, mode: 'serializable', endpoint: 'b' })
    await members.add('http://a:2380', options)
    await members.addLearner(['http://a:2380'], options)
    await members.promote('7', options)
    await members.update('7', 'http://a:2380', options)
    await members.remove('7', options)
    assert.deepEqual(sent(), [
      ['Cluster.MemberList', { linearizable: true }, 7, true, undefined],
      ['Cluster.MemberList', { linearizable: false }, 7, true, 'b'],
      ['Cluster.MemberAdd', { ...peers, isLearner: false }, 7, false, undefined],
      ['Cluster.MemberAdd', { ...peers, isLearner: true }, 7, false, undefined],
      ['Cluster.MemberPromote', { ID: '7' }, 7, false, undefined],
      ['Cluster.MemberUpdate', { ID: '7', ...peers }, 7, false, undefined],
      ['Cluster.MemberRemove', { ID: '7' }, 7, false, undefined],
    ])
  })

  test('shows a member that was added and has not started', async () => {
    const { member: added, members } = await cluster().cluster.addLearner('http://a:2380')
    const peerUrls = ['http://a:2380']
    assert.deepEqual(added, { id: '7', name: '', peerUrls, clientUrls: [], isLearner: true, isStarted: false })
    assert.deepEqual(members, [added])
  })

  test('with invalid addresses is not sent', async () => {
    const { cluster: members, sent } = cluster()
    for (const urls of [[], '', 'a:2380', 'http://a', 'http://a:2380/', ['http://a:2380', 5], undefined]) {
      await assert.rejects(members.add(urls as string), /`peerUrls` must be http:\/\/host:port/)
    }
    assert.deepEqual(sent(), [])
  })
})
