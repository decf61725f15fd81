import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { channels, isObserved, outcomeOf, settle, tracing } from '../../src/telemetry/channels.js'
import { ClientTelemetry } from '../../src/telemetry/client-telemetry.js'
import { describeRange, keyText } from '../../src/telemetry/key-text.js'
import type { LockRecord, WatchRecord } from '../../src/telemetry/records.js'
import { recordsOf } from '../support/channels.js'

const bytes = (text: string): Buffer => Buffer.from(text)
const error = new EtcdError('gone', { code: 'CONNECTION_LOST', effect: 'none' })

function telemetry(keys = true): ClientTelemetry {
  return new ClientTelemetry({ name: 'app', namespace: undefined, keys, slowCallMs: 300 })
}

/** The steps of the operations of a kind, during the test. */
function stepsOf(t: TestContext, kind: 'lock' | 'watch' | 'call'): string[] {
  const steps: string[] = []
  const names = ['start', 'end', 'error', 'asyncStart', 'asyncEnd'] as const
  const handlers = Object.fromEntries(names.map((name) => [name, () => steps.push(name)]))
  tracing[kind].subscribe(handlers)
  t.after(() => tracing[kind].unsubscribe(handlers))
  return steps
}

describe('The records of a client', () => {
  const text = ({ type, kind, name }: LockRecord): string => `${type} ${kind} ${name}`

  test('of a lock are its grant or refusal, and its release or loss, each once', async (t) => {
    const records = recordsOf<LockRecord>(t, channels.lock)
    const steps = stepsOf(t, 'lock')
    const app = telemetry()
    const acquire = (lock: { fence: number; signal: AbortSignal }) =>
      app.acquiring({ name: bytes('l'), kind: 'lock' }, async () => lock)
    const abort = new AbortController()
    const released = await acquire({ fence: 7, signal: abort.signal })
    app.lockReleased(released)
    app.lockReleased(released)
    abort.abort(error)
    const losing = new AbortController()
    const lost = await acquire({ fence: 8, signal: losing.signal })
    losing.abort(error)
    app.lockReleased(lost)
    await acquire({ fence: 9, signal: AbortSignal.abort(error) })
    assert.deepEqual(steps.splice(0).join(), Array(3).fill('start,end,asyncStart,asyncEnd').join())
    const refused = app.acquiring({ name: bytes('l'), kind: 'read' }, () => Promise.reject(error))
    await assert.rejects(refused, error)
    assert.deepEqual(steps, ['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
    assert.deepEqual(records.map(text), [
      'granted lock l',
      'released lock l',
      'granted lock l',
      'lost lock l',
      'granted lock l',
      'lost lock l',
      'refused read l',
    ])
    const [granted, , , lostRecord] = records
    assert.ok(granted?.type === 'granted' && granted.fence === 7 && granted.outcome.ok)
    assert.ok(lostRecord?.type === 'lost' && lostRecord.error === error)
  })

  test('of a watch are its start and its end, and `stats()` has it in between', async (t) => {
    const records = recordsOf<WatchRecord>(t, channels.watch)
    const steps = stepsOf(t, 'watch')
    const app = telemetry()
    const status = { state: 'active', endpoint: 'm', revision: 5, lag: 1, buffered: 2, reconnects: 3 }
    const end = app.watchOpened({ key: bytes('a'), rangeEnd: bytes('b') }, { ...status, ready: Promise.resolve() })
    assert.deepEqual(app.watches, [{ range: 'prefix', keyText: 'a', ...status }])
    await new Promise((resolve) => setImmediate(resolve))
    end(error)
    assert.deepEqual(app.watches, [])
    const range = { client: app.client, range: 'prefix', keyText: 'a' }
    assert.deepEqual(records, [
      { ...range, type: 'opened' },
      { ...range, type: 'ended', reconnects: 3, error },
    ])
    assert.deepEqual(steps.splice(0), ['start', 'end', 'asyncStart', 'asyncEnd'])
    const denied = { ...status, ready: Promise.reject(error) }
    app.watchOpened({ key: bytes('a'), rangeEnd: bytes('b') }, denied)(error)
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(steps, ['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
  })

  test('of an informer are its listings and errors, and `stats()` has it until it ends', (t) => {
    const records = recordsOf<object>(t, channels.informer)
    const app = telemetry()
    const listeners = new Map<string, (payload: never) => void>()
    const on = (event: string, listener: (payload: never) => void): unknown => listeners.set(event, listener)
    const state = { state: 'ready', endpoint: 'm', size: 1, revision: 5, resyncs: 0, reconnects: 0, handlers: [] }
    const end = app.informerOpened({ key: bytes('k'), rangeEnd: bytes('') }, { on, stats: () => state })
    assert.deepEqual(app.informers, [{ range: 'key', keyText: 'k', ...state }])
    for (const [event, payload] of Object.entries({
      ready: { revision: 5, size: 1 },
      resync: { reason: 'COMPACTED', fromRevision: 1, toRevision: 9 },
      error: { error, terminal: true },
    })) {
      listeners.get(event)?.(payload as never)
    }
    end()
    assert.deepEqual(app.informers, [])
    const range = { client: app.client, range: 'key', keyText: 'k' }
    assert.deepEqual(records, [
      { ...range, type: 'ready', revision: 5, size: 1 },
      { ...range, type: 'resync', reason: 'COMPACTED', fromRevision: 1, toRevision: 9 },
      { ...range, type: 'error', terminal: true, error },
    ])
  })

  test('have no keys if the client keeps them secret, and an identity of each client', async (t) => {
    const [locks, watches] = [recordsOf<LockRecord>(t, channels.lock), recordsOf<WatchRecord>(t, channels.watch)]
    const [app, other] = [telemetry(false), telemetry()]
    assert.notEqual(app.client.id, other.client.id)
    const never = new AbortController().signal
    await app.acquiring({ name: bytes('secret'), kind: 'lock' }, async () => ({ fence: 1, signal: never }))
    const status = { state: 'active', endpoint: 'm', revision: 5, lag: 1, buffered: 2, reconnects: 3 }
    app.watchOpened({ key: bytes('secret'), rangeEnd: bytes('') }, { ...status, ready: Promise.resolve() })()
    assert.ok(!JSON.stringify([locks, watches, app.watches]).includes('secret'))
    assert.deepEqual([locks.length, watches.length], [1, 2])
  })
})

describe('An operation', () => {
  test('that fails has its error for tracers, not in its record, and ends once', (t) => {
    const steps = stepsOf(t, 'call')
    const ended = recordsOf<object>(t, channels.call)
    const pair = { ended: channels.call, traced: tracing.call }
    const record = { outcome: outcomeOf(error) } as never
    settle(pair, record, error)
    assert.deepEqual([steps, ended], [['error', 'asyncStart', 'asyncEnd'], [record]])
    assert.equal((record as { error: unknown }).error, error)
    assert.deepEqual(Object.keys(record), ['outcome'])
    assert.deepEqual(outcomeOf(new Error('of the caller')), { ok: false, aborted: true })
    assert.deepEqual(outcomeOf(error), { ok: false, aborted: false, code: 'CONNECTION_LOST', effect: 'none', error })
  })

  test('is observed by a subscriber of either channel', () => {
    const pair = { ended: channels.attempt, traced: tracing.attempt }
    const listener = (): void => {}
    assert.equal(isObserved(pair), false)
    for (const channel of [channels.attempt, tracing.attempt.error]) {
      channel.subscribe(listener)
      assert.equal(isObserved(pair), true)
      channel.unsubscribe(listener)
    }
    assert.equal(isObserved(pair), false)
  })
})

describe('A range in records', () => {
  test('is named by the keys that it has', () => {
    const of = (key: string, end?: string): string => {
      const { kind, key: named } = describeRange(bytes(key), end === undefined ? undefined : bytes(end))
      return `${kind} ${named === undefined ? undefined : Buffer.from(named).toString()}`
    }
    assert.deepEqual(
      [
        of('a'),
        of('a', ''),
        of('a', 'b'),
        of('a', 'c'),
        of('a', '\0'),
        of('\0', '\0'),
        of('a\0', '\0'),
        of('a\0', 'b'),
      ],
      ['key a', 'key a', 'prefix a', 'range a', 'from a', 'all undefined', 'from a\0', 'prefix a'],
    )
  })

  test('has its key as text of 256 characters at most, or in hexadecimal', () => {
    assert.equal(keyText(Buffer.alloc(256, 'a')), 'a'.repeat(256))
    assert.equal(keyText(Buffer.alloc(257, 'a')), `${'a'.repeat(256)}…`)
    assert.equal(keyText(Buffer.from([0xff, 1])), '0xff01')
  })
})
