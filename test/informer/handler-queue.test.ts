import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Change } from '../../src/informer/change.js'
import { type ChangeHandler, HandlerQueue } from '../../src/informer/handler-queue.js'
import type { InformerSnapshot } from '../../src/informer/snapshot.js'
import { Store } from '../../src/informer/store.js'
import { batchOf, gate, inShort, kvOf, settled, snapshotOf } from './fixtures.js'

/** A store and a queue that receives its changes. */
class Bench {
  readonly store = new Store<string, never>({
    codec: { encode: (value) => Buffer.from(value), decode: (bytes) => bytes.toString() },
    filter: undefined,
    transform: undefined,
    indexes: {},
    onInvalid: ({ error }) => assert.fail(String(error)),
  })
  readonly delivered: Change<string>[] = []
  readonly errors: unknown[] = []
  readonly queue: HandlerQueue<string>
  caughtUp = 0

  constructor(handler: ChangeHandler<string> = () => {}, limit = 5, from?: InformerSnapshot<string>) {
    this.queue = new HandlerQueue<string>(
      { handlerFailed: (error) => this.errors.push(error) },
      (change) => {
        this.delivered.push(change)
        return handler(change)
      },
      {
        limit,
        from,
        onCaughtUp: () => {
          this.caughtUp += 1
        },
      },
    )
  }

  get words(): string[] {
    return this.delivered.map(inShort)
  }

  apply(values: Readonly<Record<string, string | undefined>>): void {
    const { revision } = this.store.snapshot
    this.queue.push(this.store.apply(batchOf(revision + 1, values)), this.store.snapshot)
  }

  list(values: Readonly<Record<string, string>>, cause: 'list' | 'resync' = 'list'): void {
    const draft = this.store.draft(true)
    const { revision } = this.store.snapshot
    for (const key of Object.keys(values).sort()) draft.add(kvOf(key, values[key] ?? '', revision + 1))
    draft.finish(revision + 1)
    this.queue.replace(this.store.snapshot, cause)
  }
}

describe('The queue of a handler', () => {
  test('delivers all existing keys as initial, and then each change in order', async () => {
    const bench = new Bench()
    bench.list({ a: '1', b: '2' })
    bench.apply({ a: '3', c: '4' })
    bench.apply({ b: undefined })
    assert.deepEqual(bench.words, [], 'nobody is called from within the update of the store')
    await settled()
    assert.deepEqual(bench.words, ['+a=1', '+b=2', '~a=1>3', '+c=4', '-b=2'])
    assert.deepEqual(
      bench.delivered.map(({ source, initial }) => `${source} ${initial}`),
      ['list true', 'list true', 'watch false', 'watch false', 'watch false'],
    )
    assert.deepEqual([bench.caughtUp, bench.queue.queued, bench.queue.overflows], [1, 0, 0])
  })

  test('is caught up when there are no keys', async () => {
    const bench = new Bench()
    await settled()
    assert.equal(bench.caughtUp, 0)
    bench.list({})
    await settled()
    assert.deepEqual([bench.caughtUp, bench.delivered], [1, []])
  })

  test('continues after a handler that throws or rejects', async () => {
    const bench = new Bench(({ keyText }) => {
      if (keyText === 'a') throw new Error('thrown')
      return keyText === 'b' ? Promise.reject(new Error('rejected')) : undefined
    })
    bench.list({ a: '1', b: '2', c: '3' })
    await settled()
    assert.equal(bench.words.length, 3)
    assert.deepEqual(bench.errors.map(String), ['Error: thrown', 'Error: rejected'])
  })

  test('waits for the promise of a handler, also for a thenable', async () => {
    const { promise, open } = gate()
    const bench = new Bench(({ keyText }) => (keyText === 'a' ? { then: promise.then.bind(promise) } : undefined))
    bench.list({ a: '1', b: '2' })
    await settled()
    assert.deepEqual(bench.words, ['+a=1'])
    open()
    await settled()
    assert.deepEqual(bench.words, ['+a=1', '+b=2'])
  })

  test('holds at most its limit for a handler that never settles', async () => {
    const bench = new Bench(() => new Promise(() => {}))
    bench.list({ a: '0' })
    await settled()
    for (let round = 1; round <= 20_000; round += 1) {
      bench.apply({ a: String(round) })
      assert.ok(bench.queue.queued <= 5)
    }
    assert.equal(bench.words.length, 1)
    assert.ok(bench.queue.overflows > 1000)
  })

  test('does not overflow at its limit, nor with one revision of any size', async () => {
    const { promise, open } = gate()
    const bench = new Bench(() => promise, 2)
    bench.list({ a: '1' })
    await settled()
    bench.apply({ b: '1', c: '1', d: '1' })
    assert.equal(bench.queue.overflows, 0)
    open()
    await settled()
    bench.apply({ a: '2' })
    bench.apply({ a: '3' })
    assert.equal(bench.queue.overflows, 0)
    bench.apply({ a: '4' })
    assert.equal(bench.queue.overflows, 1)
    await settled()
    assert.deepEqual(bench.words, ['+a=1', '+b=1', '+c=1', '+d=1', '~a=1>4'])
  })

  test('starts with the source `list`, also if a resync comes first', async () => {
    const bench = new Bench()
    bench.list({ a: '1' }, 'resync')
    await settled()
    assert.deepEqual(
      bench.delivered.map(({ source, initial }) => [source, initial]),
      [['list', true]],
    )
  })

  test('delivers exactly the difference after an overflow', async () => {
    const { promise, open } = gate()
    const bench = new Bench(() => promise, 1)
    bench.list({ a: '1', b: '1', c: '1', d: '1' })
    await settled()
    for (let round = 2; round < 20; round += 1) bench.apply({ a: String(round), e: String(round) })
    bench.apply({ b: undefined, e: undefined, f: '1' })
    bench.apply({ c: undefined })
    bench.apply({ c: '2' })
    open()
    await settled()
    // Each key once, and nothing about e, which was created and deleted.
    assert.deepEqual(bench.words.slice(4), ['~a=1>19', '-b=1', '~c=1>2', '+f=1'])
    for (const { source, initial } of bench.delivered.slice(4)) assert.deepEqual([source, initial], ['resync', false])
    bench.apply({ a: '20' })
    await settled()
    assert.deepEqual([bench.words.at(-1), bench.delivered.at(-1)?.source], ['~a=19>20', 'watch'])
  })

  test('is replaced while it runs without repeating or losing a change', async () => {
    const { promise, open } = gate()
    const bench = new Bench(({ value }) => (value === 'wait' ? promise : undefined))
    bench.list({ a: 'wait', b: '1', c: '1' })
    await settled()
    bench.apply({ b: '2' })
    bench.list({ a: 'wait', c: '3', d: '1' }, 'resync')
    open()
    await settled()
    assert.deepEqual(bench.words.slice(1, 3), ['+b=1', '+c=1'])
    assert.deepEqual(bench.words.slice(3), ['~a=wait>wait', '-b=1', '~c=1>3', '+d=1'])
    assert.deepEqual([...new Set(bench.delivered.slice(3).map(({ source }) => source))], ['resync'])
  })

  test('starts after what its handler already knows', async () => {
    const known = snapshotOf(['a', 'b'], 3)
    const bench = new Bench(undefined, 5, known)
    bench.queue.replace(snapshotOf(['b', 'c'], 4), 'resync')
    await settled()
    assert.deepEqual(bench.words, ['-a=value', '~b=value>value', '+c=value'])
    assert.ok(bench.delivered.every(({ initial, source }) => !initial && source === 'resync'))
  })

  test('delivers nothing after it is closed, not even queued changes', async () => {
    const bench = new Bench(() => bench.queue.close())
    bench.list({ a: '1', b: '2' })
    bench.apply({ a: '2' })
    await settled()
    bench.apply({ a: '3' })
    bench.list({ a: '4' })
    await settled()
    assert.deepEqual(bench.words, ['+a=1'])
    assert.equal(bench.queue.queued, 0)
  })

  test('does not block the process while it delivers many changes', async () => {
    const bench = new Bench(undefined, 5)
    let turns = 0
    const timer = setInterval(() => {
      turns += 1
    }, 0)
    bench.queue.replace(
      snapshotOf(
        Array.from({ length: 200_000 }, (_, index) => String(index).padStart(6, '0')),
        1,
      ),
      'list',
    )
    while (bench.caughtUp === 0) await settled()
    clearInterval(timer)
    assert.equal(bench.delivered.length, 200_000)
    assert.ok(turns > 5, `${turns} turns`)
  })

  test('leads to the state of the store for any handler speed and limit', async () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('apply'),
        values: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.option(fc.string(), { nil: undefined }), {
          minKeys: 1,
        }),
      }),
      fc.record({ kind: fc.constant('list'), values: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.string()) }),
      fc.record({ kind: fc.constant('wait'), values: fc.constant({}) }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 30 }),
        fc.integer({ min: 1, max: 8 }),
        fc.infiniteStream(fc.boolean()),
        async (steps, limit, isSlow) => {
          const mirror = new Map<string, string>()
          const bench = new Bench(({ type, keyText, value, old }) => {
            assert.equal(old?.value, mirror.get(keyText), 'the old value is the last delivered one')
            if (type === 'delete') mirror.delete(keyText)
            else mirror.set(keyText, value)
            return isSlow.next().value ? settled() : undefined
          }, limit)
          bench.list({})
          for (const { kind, values } of steps) {
            if (kind === 'apply') bench.apply(values)
            else if (kind === 'list') bench.list(values as Record<string, string>, 'resync')
            else await settled()
          }
          while (bench.queue.queued > 0) await settled()
          for (let round = 0; round < 10; round += 1) await settled()
          assert.deepEqual(bench.errors, [])
          const shown = bench.store.snapshot.list().map(({ keyText, value }) => [keyText, value])
          assert.deepEqual([...mirror].sort(), shown)
        },
      ),
      { numRuns: 150 },
    )
  })
})
