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
  refusesTokens = false
  readonly stream = new ReconnectingStream<StreamAttempt>({
    streams: {
      open: () => Promise.reject(new Error('streams are opened by `create()` here')),
      hasOther: (endpoint, besides = []) => this.members.some((m) => m !== endpoint && ![...besides].includes(m)),
      refused: () => this.refusesTokens,
      used: () => {},
    },
    create: () => this.#create(),
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

  #create(): StreamAttempt {
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
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
  afterEach(() => mock.timers.reset())

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
