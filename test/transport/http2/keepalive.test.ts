import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { Keepalive } from '../../../src/transport/http2/keepalive.js'

const settings = {
  transport: 'http2',
  keepaliveMs: 1000,
  keepaliveTimeoutMs: 500,
  useProxyEnvironment: false,
  servername: undefined,
} as const

/** A connection whose time and traffic a test decides. */
class Connection {
  isBusy = true
  isOpen = true
  readonly keepalive: Keepalive
  readonly errors: string[] = []
  readonly pings: (() => void)[] = []
  readonly #t: TestContext
  readonly #immediates: (() => void)[] = []
  #now = 5000

  constructor(t: TestContext) {
    this.#t = t
    t.mock.timers.enable({ apis: ['setTimeout'] })
    t.mock.method(globalThis, 'setImmediate', (run: () => void) => this.#immediates.push(run))
    t.mock.method(performance, 'now', () => this.#now)
    this.keepalive = new Keepalive(settings, {
      isBusy: () => this.isBusy,
      ping: (answered) => {
        if (this.isOpen) this.pings.push(answered)
        return this.isOpen
      },
      onTimeout: ({ message }) => this.errors.push(message),
    })
    t.after(() => this.keepalive.stop())
    this.keepalive.callStarted()
  }

  pass(ms: number, each: () => void = () => {}): void {
    for (let passed = 0; passed < ms; passed += 100) {
      this.#fireTimers(100)
      this.#runImmediates()
      each()
    }
  }

  /** The process is blocked for `ms`: its timers fire late, then `read` happens, and immediates run after it. */
  block(ms: number, read: () => void): void {
    this.#fireTimers(ms)
    read()
    this.#runImmediates()
  }

  #fireTimers(ms: number): void {
    this.#now += ms
    this.#t.mock.timers.tick(ms)
  }

  #runImmediates(): void {
    for (const run of this.#immediates.splice(0)) run()
  }
}

describe('A ping', () => {
  test('is sent after `keepaliveMs` without received bytes, although calls are started meanwhile', (t) => {
    const connection = new Connection(t)
    connection.pass(900, () => connection.keepalive.callStarted())
    assert.equal(connection.pings.length, 0)
    connection.pass(100)
    assert.equal(connection.pings.length, 1)
    connection.pass(400, () => connection.keepalive.callStarted())
    assert.deepEqual(connection.errors, [])
    connection.pass(200)
    assert.deepEqual(connection.errors, ['Ping timeout: no answer within 500 ms'])
  })

  test('is not sent while bytes are received', (t) => {
    const connection = new Connection(t)
    connection.pass(5000, () => connection.keepalive.bytesRead())
    assert.equal(connection.pings.length, 0)
    connection.pass(1000)
    assert.equal(connection.pings.length, 1)
  })

  test('is sent again `keepaliveMs` after an answer, and no more when there are no calls', (t) => {
    const connection = new Connection(t)
    for (const count of [1, 2, 3]) {
      connection.pass(1000)
      assert.equal(connection.pings.length, count)
      connection.keepalive.bytesRead()
      connection.pings[count - 1]?.()
    }
    connection.isBusy = false
    connection.pass(10_000)
    connection.isBusy = true
    connection.pass(10_000)
    assert.equal(connection.pings.length, 3)
    connection.keepalive.callStarted()
    connection.pass(1000)
    assert.equal(connection.pings.length, 4)
    assert.deepEqual(connection.errors, [])
  })

  test('is sent later if the connection is not open yet', (t) => {
    const connection = new Connection(t)
    connection.isOpen = false
    connection.pass(1500)
    connection.isOpen = true
    connection.pass(500)
    assert.equal(connection.pings.length, 1)
  })

  test('without an answer is given more time by any received bytes', (t) => {
    const connection = new Connection(t)
    connection.pass(1000)
    connection.pass(5000, () => connection.keepalive.bytesRead())
    assert.deepEqual(connection.errors, [])
    connection.pass(600)
    assert.equal(connection.errors.length, 1)
  })

  test('has no effect after the end of the connection, not even at the moment of its timeout', (t) => {
    const connection = new Connection(t)
    connection.pass(1000)
    connection.block(501, () => connection.keepalive.stop())
    connection.pings[0]?.()
    connection.pass(10_000)
    assert.deepEqual([connection.pings.length, connection.errors], [1, []])
  })

  test('whose answer is unread because the process was blocked has not timed out', (t) => {
    const connection = new Connection(t)
    connection.pass(1000)
    connection.block(501, () => connection.keepalive.bytesRead())
    assert.deepEqual(connection.errors, [])
  })
})
