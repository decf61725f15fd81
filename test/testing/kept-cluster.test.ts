import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { EtcdCluster, PortInUseError, reservePort } from '../../src/testing/index.js'

const key = Buffer.from('key').toString('base64')

describe('EtcdCluster with a data directory', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'etcdkit-kept-'))
  const options = { dataDir, auth: { rootPassword: 'it is secret' }, tls: { clientCertAuth: true } }

  after(() => rmSync(dataDir, { recursive: true }))

  test('continues with data, members, ports, password and authority', async () => {
    const first = await EtcdCluster.start({ ...options, members: 3 })
    await first.call('/v3/kv/put', { key, value: key })
    await first.removeMember(1)
    await first.addMember()
    const { endpoints, env, tls } = first
    await first.stop()
    await using second = await EtcdCluster.start(options)
    assert.deepEqual(second.endpoints, endpoints)
    assert.deepEqual(second.env, env)
    assert.equal(second.tls?.ca, tls?.ca)
    assert.deepEqual(
      second.members.map(({ name }) => name),
      ['m0', 'm2', 'm3'],
    )
    assert.equal((await second.call('/v3/kv/range', { key })).count, '1')
    await second.addMember()
    assert.equal(second.members[3]?.name, 'm4')
  })

  test('rejects options that contradict it', async () => {
    for (const [changed, message] of [
      [{ members: 3 }, /`members` must be 4, as in the cluster in/],
      [{ port: 1 }, /`port` must be \d+, as in the cluster in/],
      [{ auth: undefined }, /has authentication: `auth` is required/],
    ] as const) {
      await assert.rejects(EtcdCluster.start({ ...options, ...changed }), message)
    }
    await assert.rejects(EtcdCluster.start({ dataDir: tmpdir() }), /is not empty and contains no cluster/)
    await assert.rejects(EtcdCluster.start({ port: 70_000 }), /`port` must be a port number, got 70000/)
  })

  test('is placed at the ports that follow `port`', async () => {
    const { port, release } = await reservePort()
    release()
    await using cluster = await EtcdCluster.start({ port, members: 2 })
    const ports = cluster.members.map(({ clientUrl, peerUrl }) =>
      [clientUrl, peerUrl].map((url) => Number(new URL(url).port)),
    )
    assert.deepEqual(ports, [
      [port, port + 1],
      [port + 2, port + 3],
    ])
    await assert.rejects(
      EtcdCluster.start({ port }),
      ({ cause }: Error) => cause instanceof PortInUseError && cause.port === port,
    )
  })

  test('can be opened by one cluster at a time', async () => {
    const folder = join(dataDir, 'other')
    await using cluster = await EtcdCluster.start({ dataDir: folder })
    await assert.rejects(EtcdCluster.start({ dataDir: folder }), /is in use by another cluster/)
    await cluster.stop()
    assert.ok(existsSync(join(folder, 'm0/data')))
  })
})
