import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { memberAt, proxyAt, received } from '../support/cluster-view.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'

describe('A registration', () => {
  const cluster = useCluster({ proxy: true })

  function listen(etcd: Etcd): string[] {
    const emitted: string[] = []
    etcd.on('registrationLost', ({ key, reason }) => emitted.push(`${key} lost: ${reason}`))
    etcd.on('registrationTaken', ({ key }) => emitted.push(`${key} taken`))
    etcd.on('registrationRestored', ({ key }) => emitted.push(`${key} restored`))
    return emitted
  }

  test('keeps its key until it is closed, and can be updated', async (t) => {
    const etcd = createClient(t, cluster)
    const tenant = etcd.namespace(uniquePrefix())
    const registration = await tenant.register('svc/a', '10.0.0.1', { ttlSeconds: 1 })
    await sleep(2500)
    await registration.update('10.0.0.2')
    const kv = await tenant.get('svc/a')
    assert.deepEqual([kv?.valueText, kv?.lease], ['10.0.0.2', registration.leaseId])
    await registration.close()
    assert.equal(await tenant.get('svc/a'), undefined)
    assert.equal(registration.isRegistered, false)
    await registration.close()
  })

  test('restores its key with the current value when its lease was revoked', async (t) => {
    const etcd = createClient(t, cluster)
    const emitted = listen(etcd)
    await using registration = await etcd.register('svc/b', 'old', { ttlSeconds: 2 })
    const { leaseId } = registration
    await createClient(t, cluster).lease.revoke(leaseId ?? '')
    await poll('it is restored', () => emitted.length === 2 || undefined)
    assert.deepEqual(emitted, ['svc/b lost: revoked', 'svc/b restored'])
    assert.notEqual(registration.leaseId, leaseId)
    assert.equal((await etcd.get('svc/b'))?.lease, registration.leaseId)
  })

  test('recovers from an outage longer than its lease, and ends with the client', async (t) => {
    const witness = createClient(t, cluster)
    const etcd = createClient(t, cluster, { timeoutMs: 500, connectTimeoutMs: 300 })
    const emitted = listen(etcd)
    const failures: unknown[] = []
    etcd.on('registrationFailed', ({ error }) => failures.push(error))
    const registration = await etcd.register('svc/c', 'here', { ttlSeconds: 1 })
    const proxy = proxyAt(cluster, 0)
    proxy.refuse()
    proxy.cut()
    await poll('restoring it has failed', () => failures.length > 0 || undefined)
    await registration.update('there')
    proxy.accept()
    await poll('it is restored', () => emitted.length === 2 || undefined)
    assert.deepEqual(emitted, ['svc/c lost: expired', 'svc/c restored'])
    assert.equal((await witness.get('svc/c'))?.valueText, 'there')
    await etcd.close()
    await poll('the key is gone', async () => (await witness.get('svc/c')) === undefined || undefined)
    assert.equal(emitted.length, 2)
  })

  test('ends immediately with its client, also after it was restored', async (t) => {
    const witness = createClient(t, cluster)
    const etcd = createClient(t, cluster)
    const emitted = listen(etcd)
    const kept = await etcd.register('svc/closed/a', '', { ttlSeconds: 60 })
    await using ended = await etcd.register('svc/closed/b', '', { ttlSeconds: 60 })
    const restored = await etcd.register('svc/closed/c', '', { ttlSeconds: 1 })
    await witness.lease.revoke(restored.leaseId ?? '')
    await poll('it is put back', () => emitted.length === 2 || undefined)
    await ended.close()
    await etcd.close()
    assert.equal(await witness.count({ prefix: 'svc/closed/' }), 0)
    assert.ok(!kept.isRegistered && !restored.isRegistered)
    assert.equal(emitted.length, 2)
    await kept.close()
  })

  test('whose close() is in flight ends with its client, too, and a second close() waits for the first', async (t) => {
    const witness = createClient(t, cluster)
    const etcd = createClient(t, cluster)
    const names = Array.from({ length: 10 }, (_, index) => `svc/closing/${index}`)
    const [again, ...others] = await Promise.all(names.map((name) => etcd.register(name, '', { ttlSeconds: 60 })))
    assert.ok(again)
    const first = again.close()
    await again.close()
    assert.equal(await witness.get(names[0] ?? ''), undefined)
    const closing = others.map((registration) => registration.close())
    await etcd.close()
    assert.equal(await witness.count({ prefix: 'svc/closing/' }), 0)
    await Promise.all([first, ...closing])
  })

  test('restores its key with the same lease when the key was deleted', async (t) => {
    const etcd = createClient(t, cluster)
    const tenant = etcd.namespace(uniquePrefix())
    const emitted = listen(etcd)
    await using registration = await tenant.register('svc/d', 'here')
    const { leaseId } = registration
    for (const count of [2, 4]) {
      await tenant.delete('svc/d')
      await poll('it is restored', () => emitted.length === count || undefined)
    }
    assert.deepEqual(emitted, ['svc/d lost: deleted', 'svc/d restored', 'svc/d lost: deleted', 'svc/d restored'])
    const kv = await tenant.get('svc/d')
    assert.deepEqual(
      [kv?.valueText, kv?.lease, registration.leaseId, registration.isRegistered],
      ['here', leaseId, leaseId, true],
    )
  })

  test('leaves its key to another owner, and restores it when that owner is gone', async (t) => {
    const [etcd, other] = [createClient(t, cluster), createClient(t, cluster)]
    const emitted = listen(etcd)
    await using registration = await etcd.register('svc/e', 'mine')
    const second = await other.register('svc/e', 'theirs')
    await poll('it is taken', () => emitted.length === 1 || undefined)
    assert.deepEqual([registration.state, registration.isRegistered, registration.leaseId], ['taken', false, undefined])
    await registration.update('mine again')
    assert.equal((await etcd.get('svc/e'))?.valueText, 'theirs')
    assert.ok(second.isRegistered)
    await second.close()
    await poll('it is restored', () => emitted.length === 2 || undefined)
    assert.deepEqual(emitted, ['svc/e taken', 'svc/e restored'])
    assert.equal(registration.state, 'registered')
    assert.equal((await etcd.get('svc/e'))?.valueText, 'mine again')
    await other.put('svc/e', 'for ever')
    await poll('it is taken again', () => emitted.length === 3 || undefined)
    assert.equal((await etcd.get('svc/e'))?.valueText, 'for ever')
    await registration.close()
    assert.equal(registration.state, 'closed')
    assert.equal((await etcd.get('svc/e'))?.valueText, 'for ever')
  })

  test('learns what happened to its key while the watch was down, also in compacted history', async (t) => {
    const [etcd, witness] = [createClient(t, cluster), new Etcd({ endpoints: [memberAt(cluster, 0).clientUrl] })]
    t.after(() => witness.close())
    const emitted = listen(etcd)
    await using registration = await etcd.register('svc/f', '')
    const proxy = proxyAt(cluster, 0)
    await witness.delete('svc/f')
    await poll('it is restored', () => emitted.length === 2 || undefined)
    proxy.refuse()
    proxy.cut()
    const { revision } = await witness.delete('svc/f')
    await witness.put('other', '')
    await witness.compact(revision + 1)
    assert.ok(registration.isRegistered)
    proxy.accept()
    await poll('it is restored', () => emitted.length === 4 || undefined)
    assert.equal((await witness.get('svc/f'))?.lease, registration.leaseId)
  })

  test('shares one watch stream with hundreds of others, and all are restored', async (t) => {
    const etcd = createClient(t, cluster)
    const emitted = listen(etcd)
    const watchers = () => memberAt(cluster, 0).metric('etcd_debugging_mvcc_watcher_total')
    const streams = () => received(memberAt(cluster, 0), 'Watch')
    const [watchersBefore, streamsBefore] = [await watchers(), await streams()]
    const names = Array.from({ length: 400 }, (_, index) => `svc/many/${index}`)
    const registrations = await Promise.all(names.map((name) => etcd.register(name, '')))
    await poll('all are watched', async () => (await watchers()) - watchersBefore >= 400 || undefined)
    assert.equal((await streams()) - streamsBefore, 1)
    await etcd.deleteRange({ prefix: 'svc/many/' })
    await poll('all are restored', () => emitted.length === 800 || undefined)
    assert.equal(await etcd.count({ prefix: 'svc/many/' }), 400)
    assert.ok(registrations.every(({ isRegistered }) => isRegistered))
    await etcd.close()
    await poll('no watcher is left', async () => (await watchers()) <= watchersBefore || undefined)
  })

  test('continues when its close() is called with wrong arguments', async (t) => {
    const etcd = createClient(t, cluster)
    const registration = await etcd.register('wrongly', 'x', { ttlSeconds: 2 })
    await assert.rejects(registration.close({ timeoutMs: -1 }), { code: 'INVALID_ARGUMENT' })
    assert.ok(registration.isRegistered)
    await registration.close()
    assert.equal(await etcd.get('wrongly'), undefined)
  })

  test('being created while its client closes leaves no key and no lease', async (t) => {
    const witness = createClient(t, cluster)
    const before = new Set(await witness.lease.list())
    for (let round = 0; round < 8; round += 1) {
      const etcd = createClient(t, cluster)
      await (round % 2 === 0 ? etcd.lease.shared(60) : etcd.register('svc/first', '', { ttlSeconds: 60 }))
      // A fast member may have answered before.
      const late = etcd.register('svc/late', '', { ttlSeconds: 50 }).catch(({ code }) => assert.equal(code, 'CLOSED'))
      await sleep(round / 4)
      const closed = etcd.close()
      await assert.rejects(etcd.register('svc/too late', ''), { code: 'CLOSED' })
      await Promise.all([closed, late])
    }
    assert.equal(await witness.count({ prefix: 'svc/late' }), 0)
    assert.deepEqual(
      (await witness.lease.list()).filter((id) => !before.has(id)),
      [],
    )
  })

  test('that cannot be created leaves no lease', async (t) => {
    const etcd = createClient(t, cluster)
    const before = await etcd.lease.list()
    await assert.rejects(etcd.register('', 'x'), { code: 'EMPTY_KEY' })
    await assert.rejects(etcd.register('big', 'x'.repeat(2_000_000)), { code: 'REQUEST_TOO_LARGE' })
    await poll('its lease is revoked', async () => (await etcd.lease.list()).length <= before.length || undefined)
  })
})
