import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, mock, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { ReconnectingStream, type StreamAttempt } from '../../src/streams/reconnecting-stream.js'

/** Streams on the members `a`, `b` and `c`; each open is recorded with the endpoints that it avoids. */
class Bench {
  readonly opens: string[] = []
  readonly events: string[] = []
  members = ['a', 'b', 'c']
  closed = 0
  used = 0
  refusesTokens = false
  readonly stream = new ReconnectingStream<StreamAttempt>({
    streams: {
      open: () => Promise.reject(new Error('streams are opened by `create()` here')),
      hasOther: (endpoint, besides = []) => this.members.some((m) => m !== endpoint && ![...besides].includes(m)),
      refused: () => this.refusesTokens,
      used: () => {
        this.used += 1
      },
    },
    create: () => this.attempt(),
    backoff: () => ({ baseMs: 100, maxMs: 1000 }),
    onLost: (endpoint, error) => this.events.push(`lost ${endpoint}: ${error}`),
    onResumed: (endpoint) => this.events.push(`resumed ${endpoint}`),
  })

  get current(): StreamAttempt {
    assert.ok(this.stream.current)
    return this.stream.current
  }

  lose(): void {
    const { current } = this
    this.stream.release(current)
    this.stream.failed(current.endpoint)
    this.stream.reportLost(current.endpoint, 'reset')
  }

  attempt(): StreamAttempt {
    const attempt = {
      endpoint: undefined as string | undefined,
      opened: {} as never,
      open: async (_source: unknown, excluded: Set<string>) => {
        this.opens.push([...excluded].join(''))
        attempt.endpoint = this.members.find((member) => !excluded.has(member)) ?? this.members[0]
      },
      close: () => {
        this.closed += 1
      },
    }
    return attempt
  }
}

describe('A reconnecting stream', () => {
  let now = 0
  beforeEach(() => {
    now = 0
    mock.timers.enable({ apis: ['setTimeout'] })
    mock.method(performance, 'now', () => now)
  })
  afterEach(() => {
    mock.timers.reset()
    mock.restoreAll()
  })

  /** The current stream works for this long. */
  function work(bench: Bench, ms: number): void {
    bench.stream.markWorking(bench.current)
    now += ms
  }

  /** Loses the current stream, and returns whether the next one is opened without a backoff. */
  function reopensAtOnce(bench: Bench): boolean {
    bench.lose()
    mock.timers.tick(0)
    if (bench.stream.current !== undefined) return true
    mock.timers.tick(1000)
    return false
  }

  test('opens again at once on another member after the first failure, and after a backoff from then on', () => {
    const bench = new Bench()
    bench.stream.start()
    bench.stream.start()
    bench.lose()
    mock.timers.tick(0)
    assert.deepEqual(bench.opens, ['', 'a'])
    bench.lose()
    mock.timers.tick(99)
    assert.deepEqual(bench.opens, ['', 'a'], 'the backoff is 100 to 200 ms')
    mock.timers.tick(101)
    assert.deepEqual(bench.opens, ['', 'a', 'ab'])
    bench.lose()
    mock.timers.tick(400)
    assert.deepEqual(bench.opens, ['', 'a', 'ab', 'c'], 'where all members failed, only the last one is avoided')
  })

  test('needs no backoff after a stream that has worked for a second, whatever was lost before', () => {
    const bench = new Bench()
    bench.stream.start()
    assert.deepEqual([reopensAtOnce(bench), reopensAtOnce(bench)], [true, false])
    work(bench, 500)
    work(bench, 500)
    assert.equal(reopensAtOnce(bench), true)
    assert.equal(reopensAtOnce(bench), false, 'the next one has not worked')
    work(bench, 900)
    assert.equal(reopensAtOnce(bench), false)
    work(bench, 2000)
    bench.stream.replace()
    assert.equal(reopensAtOnce(bench), false, 'the one in its place has not worked')
  })

  test('backs off after the first failure where there is no other member', () => {
    const bench = new Bench()
    bench.members = ['a']
    bench.stream.start()
    assert.equal(reopensAtOnce(bench), false)
    assert.equal(bench.opens.length, 2)
  })

  test('opens one stream at a time, whatever its owner does during a backoff', () => {
    const waiting = (): Bench => {
      const bench = new Bench()
      bench.stream.start()
      reopensAtOnce(bench)
      bench.lose()
      return bench
    }
    const started = waiting()
    started.stream.start()
    assert.equal(started.opens.length, 2)
    for (const takeOver of [
      ({ stream }: Bench) => stream.open(),
      (bench: Bench) => bench.stream.adopt(bench.attempt()),
    ]) {
      const bench = waiting()
      takeOver(bench)
      const { length } = bench.opens
      mock.timers.tick(1000)
      bench.stream.failed('another member')
      mock.timers.tick(1000)
      assert.equal(bench.opens.length, length)
    }
  })

  test('starts anew after it was stopped', () => {
    const bench = new Bench()
    bench.refusesTokens = true
    const refused = new EtcdError('invalid auth token', { code: 'INVALID_AUTH_TOKEN', effect: 'none' })
    const isReplaced = (): boolean => bench.stream.replacesToken(bench.current, refused)
    bench.stream.start()
    for (let count = 0; count < 3; count += 1) reopensAtOnce(bench)
    for (let count = 0; count < 4; count += 1) isReplaced()
    work(bench, 2000)
    bench.stream.stop()
    bench.stream.start()
    assert.deepEqual([bench.opens.at(-1), isReplaced()], ['', true])
    assert.deepEqual([reopensAtOnce(bench), reopensAtOnce(bench)], [true, false])
    for (let count = 0; count < 4; count += 1) isReplaced()
    bench.stream.stop()
    bench.stream.start()
    assert.deepEqual([bench.opens.at(-1), isReplaced()], ['', true])
  })

  test('reports the use of a token, and avoids only members that failed since a stream worked', () => {
    const bench = new Bench()
    bench.stream.start()
    bench.lose()
    mock.timers.tick(0)
    bench.stream.markWorking(bench.current)
    assert.equal(bench.used, 1)
    bench.lose()
    mock.timers.tick(1000)
    assert.deepEqual(bench.opens, ['', 'a', 'b'])
  })

  test('reports one loss until a stream works, and forgets the members that failed then', () => {
    const bench = new Bench()
    bench.stream.start()
    bench.lose()
    mock.timers.tick(0)
    bench.lose()
    mock.timers.tick(200)
    assert.ok(bench.stream.isLost)
    bench.stream.markWorking(bench.current)
    bench.stream.reportResumed('c')
    assert.deepEqual(bench.events, ['lost a: reset', 'resumed c'])
    bench.stream.markHealthy(bench.current)
    bench.lose()
    mock.timers.tick(0)
    assert.equal(bench.opens.at(-1), 'c')
  })

  test('needs no backoff after a refused token that was replaced, three times in a row', () => {
    const bench = new Bench()
    bench.refusesTokens = true
    bench.stream.start()
    const refused = new EtcdError('invalid auth token', { code: 'INVALID_AUTH_TOKEN', effect: 'none' })
    const replaced = [1, 2, 3, 4].map(() => bench.stream.replacesToken(bench.current, refused))
    assert.deepEqual(replaced, [true, true, true, false])
    bench.stream.markWorking(bench.current)
    assert.ok(bench.stream.replacesToken(bench.current, refused))
  })

  test('closes the stream that it replaces, and opens none after it was stopped', () => {
    const bench = new Bench()
    bench.stream.start()
    bench.stream.replace()
    assert.deepEqual([bench.opens, bench.closed], [['', 'a'], 1])
    bench.lose()
    bench.stream.stop()
    mock.timers.tick(5000)
    assert.deepEqual([bench.opens.length, bench.stream.current, bench.stream.isLost], [2, undefined, false])
  })
})
