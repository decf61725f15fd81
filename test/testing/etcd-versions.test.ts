import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { EtcdCluster } from '../../src/testing/index.js'

const hasGo = spawnSync('go', ['version']).status === 0

const versions = [
  { version: '3.4', needsGo: false },
  { version: '3.5', needsGo: false },
  { version: '3.6', needsGo: true },
  { version: '3.7', needsGo: true },
]

describe('EtcdCluster of every version', () => {
  for (const { version, needsGo } of versions) {
    const skip = needsGo && !hasGo && 'there is no Go toolchain to build it with'

    test(`starts, loses its leader and grows on ${version}`, { skip }, async () => {
      await using cluster = await EtcdCluster.start({
        members: 3,
        version,
        tls: true,
        auth: { rootPassword: 'secret' },
      })
      assert.ok(cluster.version.startsWith(`${version}.`))
      const leader = await cluster.leader()
      await cluster.kill(leader)
      assert.notEqual(await cluster.leader(), leader)
      await cluster.restart(leader)
      await cluster.promote(await cluster.addLearner())
      await cluster.healthy()
      assert.equal(await cluster.etcdctl('put', 'key', 'value'), 'OK\n')
      assert.equal(cluster.endpoints.length, 4)
    })
  }

  test('keeps its data in a rolling upgrade', async () => {
    await using cluster = await EtcdCluster.start({ members: 3, version: '3.4' })
    await cluster.etcdctl('put', 'key', 'value')
    for (const index of [0, 1, 2]) {
      await cluster.terminate(index)
      await cluster.restart(index, { version: '3.5' })
      await cluster.healthy()
    }
    assert.ok(cluster.members.every((member) => member.version.startsWith('3.5.')))
    assert.equal(await cluster.etcdctl('get', 'key', '--print-value-only'), 'value\n')
  })
})
