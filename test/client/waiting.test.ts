import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { runInNewContext } from 'node:vm'
import { LockTimeoutError } from '../../src/concurrency/lock-errors.js'
import { Etcd, isEtcdError, json, LockUnavailableError } from '../../src/index.js'
import { methods } from '../../src/protobuf/methods.js'
import { ScriptedMember } from '../support/scripted-member.js'

/** A client of a member that is not there. */
function nowhere(): Etcd {
  return new Etcd({ endpoints: 'http://127.0.0.1:1', connectTimeoutMs: 100 })
}

describe('A wait for members', () => {
  test('fails with the obstacle when its time is over', async () => {
    await using etcd = nowhere()
    await using informer = etcd.informer({ prefix: 'a' })
    const lost = new Promise((resolve) => etcd.on('endpointLost', resolve))
    await Promise.all([lost, new Promise((resolve) => informer.on('error', resolve))])
    await assert.rejects(informer.ready({ timeoutMs: 100 }), (error) => {
      assert.ok(isEtcdError(error, 'DEADLINE_EXCEEDED') && isEtcdError(error.cause, 'NOT_CONNECTED'))
      return /the first listing was not complete in time: .*ECONNREFUSED/.test(error.message)
    })
    await assert.rejects(etcd.semaphore('s', 1).acquire({ timeoutMs: 1500 }), (error) => {
      assert.ok(error instanceof LockTimeoutError && isEtcdError(error.cause, 'NOT_CONNECTED'))
      return /was not granted within 1500 ms: .*ECONNREFUSED/.test(error.message)
    })
  })

  test('fails with the reason why no member could be reached', async () => {
    // The time of every wait is over before that of an attempt to connect.
    await using etcd = new Etcd({ endpoints: ['http://127.0.0.1:1', 'http://127.0.0.1:3'] })
    const lost = new Promise((resolve) => etcd.on('endpointLost', resolve))
    await Promise.allSettled([lost, etcd.connect({ timeoutMs: 1 })])
    const never = new Promise<never>(() => {})
    const informer = etcd.informer({ prefix: 'a' })
    const { lease } = etcd
    const bounds = { timeoutMs: 1000 }
    const waits: Record<string, Promise<unknown>> = {
      get: etcd.get('a', bounds),
      batched: Promise.all([etcd.get('b', { timeoutMs: 1200 }), etcd.get('c', bounds)]),
      put: etcd.put('a', '1', bounds),
      'put, with a lease': etcd.put('a', '1', { ...bounds, ttlSeconds: 5 }),
      'put, in a group': etcd.batcher().put('a', '1', bounds),
      list: etcd.list({ prefix: 'a' }, bounds).pages()[Symbol.asyncIterator]().next(),
      update: etcd.update('a', () => '1', bounds),
      stm: etcd.stm(() => never, bounds),
      lock: etcd.lock('lock', bounds),
      tryLock: etcd.tryLock('tried', bounds),
      'tryLock, awaited here': etcd.tryLock('lock', bounds),
      withLock: etcd.withLock('with', bounds, () => 1),
      lockAll: etcd.lockAll(['one', 'two'], bounds),
      read: etcd.rwLock('rw').read(bounds),
      tryWrite: etcd.rwLock('rw').tryWrite(bounds),
      semaphore: etcd.semaphore('s', 1).acquire(bounds),
      campaign: etcd.election('e').campaign('me', bounds),
      leader: etcd.election('e').leader(bounds),
      barrier: etcd.barrier('b').wait(bounds),
      'double barrier': etcd.doubleBarrier('d', 2).enter(bounds),
      dequeue: etcd.queue('q').dequeue(bounds),
      'dequeue, by priority': etcd.priorityQueue('p').dequeue(bounds),
      watch: etcd.watch('a').ready(bounds),
      informer: informer.ready(bounds),
      revision: informer.waitForRevision(1, bounds),
      fresh: informer.getFresh('a', bounds),
      value: etcd.value('a').ready(bounds),
      mirror: etcd.mirror('a', etcd.namespace('copy/')).synced(0, bounds),
      register: etcd.register('r', '1', bounds),
      shared: lease.shared(5, bounds),
      keepAliveOnce: lease.keepAliveOnce('1', bounds),
      connect: etcd.connect(bounds),
    }
    await Promise.allSettled(Object.values(waits))
    for (const [name, wait] of Object.entries(waits)) {
      await assert.rejects(wait, (error) => {
        assert.ok(isEtcdError(error), name)
        const reason: unknown = error.code === 'NOT_CONNECTED' ? error : error.cause
        assert.ok(isEtcdError(reason, 'NOT_CONNECTED'), `${name}: ${error.message}`)
        assert.match(error.message, /NOT_CONNECTED.*127\.0\.0\.1:1 .*ECONNREFUSED/, name)
        return true
      })
    }
    // Its function is waited for as long as there is time, like its calls.
    await assert.rejects(
      etcd.stm(() => never, bounds),
      { code: 'DEADLINE_EXCEEDED' },
    )
  })

  test('fails with the reason why the login fails, and continues once the login succeeds', async () => {
    let answer = 'etcdserver: no leader'
    const isLogin = (path: unknown): boolean => path === methods.Auth.Authenticate.path
    await using member = await ScriptedMember.start(({ headers }) => (isLogin(headers[':path']) ? answer : undefined))
    await using etcd = new Etcd({ endpoints: member.endpoint, auth: { username: 'ann', password: 'secret' } })
    await etcd.connect()
    const bounds = { timeoutMs: 400 }
    const waits = [etcd.get('a', bounds), etcd.lock('a', bounds), etcd.queue('a').dequeue(bounds)]
    const patient = etcd.put('a', '1', { timeoutMs: 20_000 })
    patient.catch(() => {})
    for (const wait of await Promise.allSettled(waits)) {
      const error: unknown = wait.status === 'rejected' ? wait.reason : undefined
      assert.ok(isEtcdError(error), inspect(wait))
      assert.ok(isEtcdError(error.code === 'NO_LEADER' ? error : error.cause, 'NO_LEADER'), inspect(wait))
      assert.match(error.message, /NO_LEADER/)
    }
    answer = 'etcdserver: authentication is not enabled'
    await patient
  })

  test('refuses options that it does not have', async () => {
    await using etcd = nowhere()
    await using informer = etcd.informer({ prefix: 'a' })
    await using value = etcd.value('a')
    await using watch = etcd.watch('a')
    const wrong = Object({ timeout: 5 })
    for (const call of [
      () => informer.ready(wrong),
      () => value.ready(wrong),
      () => watch.ready(wrong),
      () => informer.waitForRevision(1, wrong),
      () => etcd.election('a').observe(wrong).next(),
    ]) {
      await assert.rejects(async () => call(), /unknown option `timeout` of (ready|waitForRevision|observe)\(\)/)
    }
    assert.throws(() => informer.events(wrong), /unknown option `timeout` of events\(\)/)
  })

  test('takes ranges as bytes of another realm', async () => {
    await using etcd = nowhere()
    await using watch = etcd.watch(runInNewContext('Uint8Array.of(97)'))
    assert.equal(watch.status.state, 'connecting')
  })
})

test('types follow codecs, codes and optional options', async () => {
  await using etcd = nowhere()
  // @ts-expect-error: without a codec values are text
  await using text = etcd.value<number>('a')
  await using number = etcd.value('a', json<number>())
  number.current satisfies number | undefined
  // @ts-expect-error: it is text
  text.current?.toFixed()
  await using services = etcd.informer(
    { prefix: 'a' },
    { codec: json<{ zone: string }>(), indexes: { zone: (a) => a.zone } },
  )
  services.by('zone', 'x')[0]?.value.zone satisfies string | undefined
  await using words = etcd.informer({ prefix: 'a' }, { filter: (value) => value.startsWith('a') })
  words.get('a') satisfies string | undefined
  const error: unknown = new LockUnavailableError('a', undefined)
  assert.ok(isEtcdError(error, 'LOCK_UNAVAILABLE'))
  assert.equal(error.holder, undefined)
  const configured: { ttlSeconds?: number } = {}
  const putting = etcd.put('a', 'b', { ttlSeconds: configured.ttlSeconds, timeoutMs: 50 })
  await assert.rejects(putting, { code: 'NOT_CONNECTED' })
})
