import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Etcd, LockLostError } from '../../src/index.js'
import { ServiceEndpoints } from '../../src/naming/index.js'
import { WorkQueue } from '../../src/workqueue/index.js'
import { useCluster } from '../support/cluster.js'
import { createClient, uniquePrefix } from '../support/fixtures.js'

/** Closes something from within its own callback, which the object may wait for. */
type Closing = (close: () => unknown) => Promise<void>

/** Lets an object call its callback, which closes it by `closing`. */
type Case = (etcd: Etcd, closing: Closing, prefix: string) => unknown

const cases: Record<string, Case> = {
  'a client, by a listener of its events': (etcd, closing) => {
    etcd.on('endpointReady', () => closing(() => etcd.close()))
    return etcd.connect()
  },
  'a client, by the function of update()': async (etcd, closing, prefix) => {
    const updating = etcd.update(prefix, async () => {
      await closing(() => etcd.close())
      return 'too late'
    })
    await assert.rejects(updating, { code: 'CLOSED' })
  },
  'a client, by the function of stm()': (etcd, closing) => etcd.stm(() => closing(() => etcd.close())),
  'a client, by the work of withLock()': async (etcd, closing, prefix) => {
    const work = etcd.withLock(prefix, () => closing(() => etcd.close()))
    await work.catch((error: unknown) => assert.ok(error instanceof LockLostError))
  },
  'a client, by a consumer of a watch': async (etcd, closing, prefix) => {
    const watch = etcd.watch({ prefix })
    await watch.ready()
    await etcd.put(`${prefix}a`, '')
    const consume = async (): Promise<void> => {
      for await (const _ of watch) await closing(() => etcd.close())
    }
    await assert.rejects(consume(), { code: 'CLOSED' })
  },
  'a client, by its provider of tokens': async (etcd, closing) => {
    const [{ endpoint } = assert.fail()] = etcd.endpoints()
    const { Etcd } = await import('../../src/index.js')
    const provided: Etcd = new Etcd({
      endpoints: endpoint,
      auth: {
        tokenProvider: async () => {
          await closing(() => provided.close())
          return 'token'
        },
      },
    })
    await assert.rejects(provided.get('a'), { code: 'CLOSED' })
  },
  'a watch, by its consumer': async (etcd, closing, prefix) => {
    const watch = etcd.watch({ prefix })
    await watch.ready()
    await etcd.put(`${prefix}a`, '')
    for await (const _ of watch.batches()) await closing(() => watch.close())
  },
  'an informer, by a handler': (etcd, closing, prefix) => {
    const informer = etcd.informer({ prefix })
    informer.on('add', () => closing(() => informer.close()))
    return etcd.put(`${prefix}a`, '')
  },
  'an informer, by a listener of its events': (etcd, closing, prefix) => {
    const informer = etcd.informer({ prefix })
    informer.on('ready', () => closing(() => informer.close()))
  },
  'an informer, by a consumer of its changes': async (etcd, closing, prefix) => {
    await etcd.put(`${prefix}a`, '')
    const informer = etcd.informer({ prefix })
    for await (const _ of informer.events()) await closing(() => informer.close())
  },
  'a value, by a listener': (etcd, closing, prefix) => {
    const value = etcd.value(prefix)
    value.onChange(() => closing(() => value.close()))
    return etcd.put(prefix, '')
  },
  'a follower of a service, by its listener': (etcd, closing, prefix) => {
    const following = new ServiceEndpoints(etcd, `${prefix}service`).subscribe({
      onEndpoints: () => closing(() => following.close()),
      onError: () => {},
    })
  },
  'a registration of a service, when its lease is lost': async (etcd, closing, prefix) => {
    const service = new ServiceEndpoints(etcd, `${prefix}service`)
    const registration = await service.register({ name: 'a', address: '127.0.0.1:1' })
    etcd.on('registrationLost', () => closing(() => registration.close()))
    await etcd.lease.revoke(registration.leaseId ?? '')
  },
  'a registration, when it is restored': async (etcd, closing, prefix) => {
    const registration = await etcd.register(prefix, '')
    etcd.on('registrationRestored', () => closing(() => registration.close()))
    await etcd.lease.revoke(registration.leaseId ?? '')
  },
  'a mirror, by a listener': (etcd, closing, prefix) => {
    const mirror = etcd.mirror(prefix, etcd.namespace(`copy/${prefix}`))
    mirror.on('synced', () => closing(() => mirror.close()))
  },
  'a compactor, by a listener': (etcd, closing, prefix) => {
    const compactor = etcd.compactor({ retainMs: 100, intervalMs: 100, key: `${prefix}compactor` })
    compactor.on('compacted', () => closing(() => compactor.close()))
    compactor.on('yielded', () => closing(() => compactor.close()))
  },
  'a work queue, by its work': (_etcd, closing) => {
    const queue = new WorkQueue(() => closing(() => queue.close()), { onError: () => {} })
    queue.add('a')
  },
  'a work queue, by its listener of errors': (_etcd, closing) => {
    const onError = () => closing(() => queue.close())
    const queue = new WorkQueue(() => Promise.reject(new Error('failed')), { onError })
    queue.add('a')
  },
  'a lease, when it is lost': async (etcd, closing) => {
    const lease = await etcd.lease.grant(10)
    lease.signal.addEventListener('abort', () => closing(() => lease.revoke()))
    await etcd.lease.revoke(lease.id)
  },
  'a part in a lease, when it is lost': async (etcd, closing) => {
    const session = await etcd.lease.shared(10)
    session.signal.addEventListener('abort', () => closing(() => session.release()))
    await session.revoke()
  },
  'a lock, by its work': (etcd, closing, prefix) => etcd.withLock(prefix, (lock) => closing(() => lock.release())),
  'a lock, when it is lost': async (etcd, closing, prefix) => {
    const lock = await etcd.lock(prefix)
    lock.signal.addEventListener('abort', () => closing(() => lock.release()))
    await etcd.lease.revoke((await etcd.get(lock.keyText))?.lease ?? '')
  },
  'several locks, when they are lost': async (etcd, closing, prefix) => {
    const locks = await etcd.lockAll([`${prefix}a`, `${prefix}b`])
    locks.signal.addEventListener('abort', () => closing(() => locks.release()))
    await etcd.lease.revoke((await etcd.get(locks.locks[0]?.keyText ?? ''))?.lease ?? '')
  },
  'a permit, when it is lost': async (etcd, closing, prefix) => {
    const permit = await etcd.semaphore(prefix, 2).acquire()
    permit.signal.addEventListener('abort', () => closing(() => permit.release()))
    await etcd.lease.revoke((await etcd.get(permit.keyText))?.lease ?? '')
  },
  'a leadership, when it is lost': async (etcd, closing, prefix) => {
    const leadership = await etcd.election(prefix).campaign('me')
    leadership.signal.addEventListener('abort', () => closing(() => leadership.resign()))
    await etcd.lease.revoke((await etcd.get(leadership.keyText))?.lease ?? '')
  },
  'a place in a barrier, when it is lost': async (etcd, closing, prefix) => {
    const entry = await etcd.doubleBarrier(prefix, 1).enter()
    entry.signal.addEventListener('abort', () => closing(() => entry[Symbol.asyncDispose]()))
    const { kvs } = await etcd.range({ prefix: `${prefix}` })
    await etcd.lease.revoke(kvs.find(({ lease }) => lease !== undefined)?.lease ?? '')
  },
  'an iteration over keys, by its consumer': async (etcd, closing, prefix) => {
    await etcd.put(`${prefix}a`, '')
    const pages = etcd.list({ prefix }).pages()[Symbol.asyncIterator]()
    await pages.next()
    await closing(() => pages.return?.())
  },
  'an observation of an election, by its consumer': async (etcd, closing, prefix) => {
    const leaders = etcd.election(prefix).observe()
    await leaders.next()
    await closing(() => leaders.return())
  },
}

describe('What can be closed may be closed in its own callback, which waits for that:', () => {
  const cluster = useCluster()

  for (const [name, run] of Object.entries(cases)) {
    test(name, { timeout: 10_000 }, async (t) => {
      const etcd = createClient(t, cluster)
      let settle = (): void => {}
      const closed = new Promise<void>((resolve) => {
        settle = resolve
      })
      await run(
        etcd,
        async (close) => {
          await close()
          settle()
        },
        `${name}/${uniquePrefix()}`,
      )
      await closed
    })
  }
})
