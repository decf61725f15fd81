import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { Etcd, isEtcdError } from '../../src/index.js'
import { findEtcd } from '../../src/testing/etcd-binary.js'
import { EtcdCluster } from '../../src/testing/index.js'
import { startCluster } from '../support/cluster.js'
import { memberAt, proxyAt } from '../support/cluster-view.js'
import { createClient } from '../support/fixtures.js'

describe('A snapshot', () => {
  let cluster: EtcdCluster
  let etcd: Etcd
  let folder: string

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'etcdkit-snapshot-'))
    cluster = await EtcdCluster.start({ proxy: true, auth: { rootPassword: 'root' } })
    etcd = new Etcd({ endpoints: cluster.endpoints, auth: { username: 'root', password: 'root' } })
    for (let index = 0; index < 30; index++) await etcd.put(`key/${index}`, 'x'.repeat(100_000))
  })
  after(async () => {
    await etcd.close()
    await cluster.stop()
    await rm(folder, { recursive: true })
  })

  test('is saved completely, with the cached token, in the form that etcdctl accepts', async () => {
    const path = join(folder, 'whole.db')
    const before = await memberAt(cluster, 0).metric('grpc_server_handled_total', { grpc_method: 'Authenticate' })
    const progress: number[] = []
    const { bytes } = await etcd.maintenance.saveSnapshot(path, {
      onProgress: ({ receivedBytes, totalBytes }) => progress.push(receivedBytes / totalBytes),
    })
    assert.equal((await stat(path)).size, bytes)
    assert.ok(bytes > 3_000_000)
    assert.ok(progress.length > 10 && progress.every((share, index) => share >= (progress[index - 1] ?? 0)))
    assert.ok((await keysIn(path)) >= 30)
    const after = await memberAt(cluster, 0).metric('grpc_server_handled_total', { grpc_method: 'Authenticate' })
    assert.equal(after, before)
  })

  test('saved twice to one path at the same time is complete, whichever save ends first', async () => {
    const path = join(folder, 'both.db')
    const modes: number[] = []
    const onProgress = () => {
      for (const name of readdirSync(folder))
        if (name.startsWith('both.db.')) modes.push(statSync(join(folder, name)).mode & 0o777)
    }
    const saves = [etcd.maintenance.saveSnapshot(path, { onProgress }), etcd.maintenance.saveSnapshot(path)]
    await Promise.race(saves)
    assert.ok((await keysIn(path)) >= 30)
    await Promise.all(saves)
    assert.ok((await keysIn(path)) >= 30)
    assert.ok(modes.length > 0 && modes.every((mode) => mode === 0o600))
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.endsWith('.part')),
      [],
    )
  })

  /** The status of a snapshot by etcd's own tool, which is etcdutl from etcd 3.6 on. */
  async function keysIn(path: string): Promise<number> {
    const { etcdctl, etcdutl } = await findEtcd()
    const { stdout } = await promisify(execFile)(etcdutl ?? etcdctl ?? '', ['snapshot', 'status', path, '-w', 'json'])
    const status: { readonly totalKey: number } = JSON.parse(stdout)
    return status.totalKey
  }

  test("restores a member with all keys, through etcd's own tool", async (t) => {
    const other = await startCluster(t)
    const client = createClient(t, other)
    const { revision } = await client.put('key', 'in the snapshot')
    const path = join(folder, 'restored.db')
    await client.maintenance.saveSnapshot(path)
    await client.put('key', 'after it')
    await client.close()
    const { name, peerUrl, dataDir } = memberAt(other, 0)
    await other.kill(0)
    await rm(dataDir, { recursive: true })
    const { etcdctl, etcdutl } = other.binary
    const args = ['--name', name, '--initial-cluster', `${name}=${peerUrl}`, '--initial-advertise-peer-urls', peerUrl]
    await promisify(execFile)(etcdutl ?? etcdctl ?? '', ['snapshot', 'restore', path, '--data-dir', dataDir, ...args], {
      env: { ...process.env, ETCDCTL_API: '3' },
    })
    await other.restart(0)
    const restored = createClient(t, other)
    const result = await restored.range('key')
    assert.deepEqual([result.revision, result.kvs[0]?.valueText], [revision, 'in the snapshot'])
  })

  test('that breaks off rejects and leaves no file', async () => {
    const path = join(folder, 'broken.db')
    const cut = proxyAt(cluster, 0).cutAfter({ direction: 'down', bytes: 500_000 })
    await assert.rejects(etcd.maintenance.saveSnapshot(path), (error) => isEtcdError(error, 'CONNECTION_LOST'))
    await cut
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.startsWith('broken')),
      [],
    )
  })

  test('that is corrupted in transit rejects', async () => {
    const proxy = proxyAt(cluster, 0)
    await etcd.get('key/1')
    let seen = 0
    proxy.onData((bytes, { direction }) => {
      seen += direction === 'down' ? bytes.length : 0
      if (direction === 'up' || seen < 1_000_000 || bytes.length < 4096) return undefined
      proxy.onData(undefined)
      const damaged = Buffer.from(bytes)
      const at = damaged.indexOf(Buffer.from('xxxxxxxxxxxxxxxx'))
      if (at >= 0) damaged[at] = 0x79
      return damaged
    })
    await assert.rejects(etcd.maintenance.saveSnapshot(join(folder, 'damaged.db')), (error) =>
      isEtcdError(error, 'PROTOCOL_ERROR'),
    )
    proxy.heal()
  })

  test('ends with its signal and when the iteration is left', async () => {
    const abort = new AbortController()
    const reason = new Error('enough')
    const saving = etcd.maintenance.saveSnapshot(join(folder, 'aborted.db'), {
      signal: abort.signal,
      onProgress: () => abort.abort(reason),
    })
    await assert.rejects(saving, reason)
    for await (const piece of etcd.maintenance.snapshot()) {
      assert.ok(piece.length > 0)
      break
    }
  })

  test('is refused to users without the role root', async () => {
    await etcd.auth.users.add('guest', 'guest')
    await using guest = new Etcd({ endpoints: cluster.endpoints, auth: { username: 'guest', password: 'guest' } })
    await assert.rejects(guest.maintenance.saveSnapshot(join(folder, 'guest.db')), (error) =>
      isEtcdError(error, 'PERMISSION_DENIED'),
    )
  })
})
