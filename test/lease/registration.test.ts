import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import type { RegistrationKv } from '../../src/lease/registered-key.js'
import { Registration, type RegistrationHost } from '../../src/lease/registration.js'
import { FakeClock } from '../support/fake-clock.js'
import { FakeLease, leaseNotFound } from '../support/fake-lease.js'
import { MemoryStore } from '../support/memory-store.js'

/** A registration of `svc` with the value `first` and the lease 1, in a store that the test controls. */
async function registered(t: TestContext) {
  const clock = new FakeClock(t)
  const store = new MemoryStore()
  const leases: FakeLease[] = []
  const emitted: unknown[] = []
  const host: { -readonly [Name in keyof RegistrationHost]: RegistrationHost[Name] } = {
    events: { emit: (name, { key, ...payload }) => emitted.push([name, String(key), payload]) },
    timeoutMs: 10_000,
    grant: async (ttlSeconds) => {
      const lease = new FakeLease(String(leases.length + 1), ttlSeconds)
      leases.push(lease)
      return lease.lease
    },
    revoked: (id) => leases.find((lease) => lease.id === id)?.lose('revoked'),
    onClosed: () => {},
  }
  const kv = store as unknown as RegistrationKv
  const registration = new Registration(host, kv, ['svc', 'first'], 10)
  await registration.establish({})
  t.after(() => registration.close())
  const stored = () => [store.get('svc')?.valueText, store.get('svc')?.lease]
  return { clock, store, leases, emitted, registration, host, stored }
}

const cut = new EtcdError('cut', { code: 'CONNECTION_LOST', effect: 'unknown', retryable: true })

describe('The key of a registration', () => {
  test('is left to another owner by an update, also before a watch has shown that owner', async (t) => {
    const { store, emitted, registration, stored } = await registered(t)
    store.write('svc', 'theirs', 'f00')
    await registration.update('mine')
    assert.deepEqual(stored(), ['theirs', 'f00'])
    assert.equal(registration.state, 'taken')
    assert.deepEqual(emitted, [['registrationTaken', 'svc', { leaseId: 'f00' }]])
  })

  test('has the value of the last update, also if an earlier one is applied after it', async (t) => {
    const { store, registration, stored } = await registered(t)
    let arrive = (): void => {}
    const arrival = new Promise<void>((resolve) => {
      arrive = resolve
    })
    store.transits.push(async (apply) => {
      await arrival
      return apply()
    })
    const late = registration.update('second')
    await registration.update('third')
    arrive()
    await late
    assert.deepEqual(stored(), ['third', '1'])
  })

  test('has no other value after the registration was closed, and an update rejects', async (t) => {
    const { registration, stored } = await registered(t)
    await assert.rejects(registration.update('second', { timeout: 1 } as object), /unknown option `timeout` of update/)
    await registration.close()
    await assert.rejects(registration.update('second'), { code: 'CLOSED', effect: 'none' })
    assert.notEqual(stored()[0], 'second')
  })

  test('that is taken is reported once, also if another owner writes it then', async (t) => {
    const { store, emitted } = await registered(t)
    for (const owner of ['a', 'b', 'c']) {
      store.write('svc', 'theirs', owner)
      store.emit('svc', store.revision, owner)
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.deepEqual(emitted, [['registrationTaken', 'svc', { leaseId: 'a' }]])
  })

  test('leaves no lease that is granted after it was closed', async (t) => {
    const { clock, leases, registration, host } = await registered(t)
    const { grant } = host
    let arrive = (): void => {}
    host.grant = async (...args) => {
      await new Promise<void>((resolve) => {
        arrive = resolve
      })
      return grant(...args)
    }
    leases[0]?.lose('expired')
    await clock.advance(0)
    await registration.close()
    arrive()
    await clock.advance(0)
    assert.deepEqual(
      leases.map(({ revocations }) => revocations),
      [0, 1],
    )
  })

  test('is put with another lease if the first has ended meanwhile, and no lease is left if it cannot be put', async (t) => {
    const leases: FakeLease[] = []
    const host: RegistrationHost = {
      events: { emit: () => {} },
      timeoutMs: 10_000,
      grant: async (ttlSeconds) => {
        leases.push(new FakeLease(String(leases.length + 1), ttlSeconds))
        return leases.at(-1)?.lease ?? assert.fail()
      },
      revoked: () => {},
      onClosed: () => {},
    }
    const store = new MemoryStore()
    const failures = [leaseNotFound()]
    const put = store.put.bind(store)
    store.put = async (...args) => {
      const failure = failures.shift()
      if (failure !== undefined) throw failure
      return put(...args)
    }
    const kv = store as unknown as RegistrationKv
    const registration = new Registration(host, kv, ['svc', 'first'], 10)
    t.after(() => registration.close())
    await registration.establish({})
    assert.equal(registration.leaseId, '2')
    failures.push(new EtcdError('denied', { code: 'PERMISSION_DENIED', effect: 'none' }))
    const refused = new Registration(host, kv, ['other', ''], 10)
    await assert.rejects(refused.establish({}), { code: 'PERMISSION_DENIED' })
    assert.deepEqual(
      leases.map(({ revocations }) => revocations),
      [1, 0, 1],
    )
  })

  test('is put with a new lease and the new value if an update finds that its lease is gone', async (t) => {
    const { clock, store, emitted, registration, stored } = await registered(t)
    store.transits.push(
      () => {
        throw leaseNotFound()
      },
      () => {
        throw cut
      },
    )
    await registration.update('second')
    assert.equal(registration.state, 'lost')
    await clock.advance(100)
    assert.deepEqual(stored(), ['second', '2'])
    const downMs = (emitted.at(-1) as [string, string, { downMs: number }])[2].downMs
    assert.ok(downMs >= 50 && downMs <= 100, `${downMs} ms`)
    assert.deepEqual(emitted, [
      ['registrationLost', 'svc', { reason: 'revoked' }],
      ['registrationFailed', 'svc', { error: cut }],
      ['registrationRestored', 'svc', { leaseId: '2', downMs }],
    ])
  })

  test('is taken over from a lost lease of the registration, without an event for that', async (t) => {
    const { clock, store, leases, emitted, registration, stored } = await registered(t)
    leases[0]?.lose('expired')
    await clock.advance(0)
    assert.deepEqual(stored(), ['first', '2'])
    assert.deepEqual(
      emitted.map((event) => (event as [string])[0]),
      ['registrationLost', 'registrationRestored'],
    )
    leases[1]?.lose('expired')
    store.transits.push(() => {
      throw cut
    })
    // An update by the lease before arrives late.
    store.write('svc', 'first', '2')
    store.emit('svc', store.revision, '2')
    await clock.advance(200)
    assert.deepEqual([...stored(), registration.leaseId], ['first', '3', '3'])
    assert.ok(!emitted.some((event) => (event as [string])[0] === 'registrationTaken'))
  })

  test('is left to an owner that puts it while it is being taken over', async (t) => {
    const { clock, store, leases, registration, stored } = await registered(t)
    store.transits.push(
      (apply) => apply(),
      (apply) => {
        store.write('svc', 'theirs', 'f00')
        return apply()
      },
    )
    leases[0]?.lose('expired')
    await clock.advance(0)
    assert.deepEqual([...stored(), registration.state], ['theirs', 'f00', 'taken'])
  })

  test('has the last value also if that came after an attempt to restore it whose answer was lost', async (t) => {
    const { clock, store, leases, registration, stored } = await registered(t)
    store.transits.push(
      (apply) => apply(),
      (apply) => {
        apply()
        throw cut
      },
    )
    leases[0]?.lose('expired')
    await clock.advance(0)
    await registration.update('second')
    await clock.advance(200)
    assert.deepEqual([...stored(), registration.state], ['second', '2', 'registered'])
  })

  test('has the value of an update that came while it was being restored', async (t) => {
    const { clock, store, leases, registration, stored } = await registered(t)
    store.transits.push(
      (apply) => apply(),
      async (apply) => {
        await registration.update('second')
        return apply()
      },
    )
    leases[0]?.lose('expired')
    await clock.advance(0)
    assert.deepEqual([...stored(), registration.state], ['second', '2', 'registered'])
  })

  test('is not lost by events from before its last write, and reported as deleted within a second', async (t) => {
    const { clock, store, emitted, registration } = await registered(t)
    await clock.advance(0)
    store.emit('svc', store.revision)
    await clock.advance(0)
    assert.deepEqual([registration.state, emitted], ['registered', []])
    store.transits.push(
      (_, { timeoutMs = 10_000 }) =>
        new Promise((_, reject) => {
          setTimeout(() => reject(cut), timeoutMs)
        }),
    )
    store.emit('svc', store.revision + 1)
    await clock.advance(1000)
    assert.deepEqual(emitted[0], ['registrationLost', 'svc', { reason: 'deleted' }])
  })

  test('is put again if it is missing in a cluster that was restored to an earlier revision', async (t) => {
    const { clock, store, leases, stored } = await registered(t)
    await clock.advance(0)
    store.reset()
    await clock.advance(0)
    assert.deepEqual([...stored(), leases.length], ['first', '1', 1])
  })

  test('does not count as registered once its lease has run out, before anything else could run', async (t) => {
    const { leases, registration } = await registered(t)
    for (const lease of leases) lease.isUsable = false
    assert.deepEqual([registration.state, registration.isRegistered, registration.leaseId], ['lost', false, undefined])
  })
})
