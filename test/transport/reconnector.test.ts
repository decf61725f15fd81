import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { ChannelState } from '../../src/transport/channel.js'
import { Reconnector, type SingleConnection, type SingleConnectionListener } from '../../src/transport/reconnector.js'

class Connection implements SingleConnection {
  bytesRead = 0
  state: 'new' | 'draining' | 'closed' = 'new'
  readonly listener: SingleConnectionListener<Connection>

  constructor(listener: SingleConnectionListener<Connection>) {
    this.listener = listener
  }

  drain(): void {
    this.state = 'draining'
  }

  close(): void {
    this.state = 'closed'
  }

  connected(): void {
    this.listener.onConnected(this)
  }

  lost(reason?: string): void {
    this.listener.onLost(this, reason)
  }
}

class Fixture {
  readonly made: Connection[] = []
  readonly states: ChannelState[] = []
  readonly reconnector: Reconnector<Connection>
  readonly #t: TestContext
  #now = 1000

  constructor(t: TestContext) {
    this.#t = t
    t.mock.timers.enable({ apis: ['setTimeout'] })
    t.mock.method(performance, 'now', () => this.#now)
    t.mock.method(Math, 'random', () => 1)
    this.reconnector = new Reconnector(
      (listener) => {
        const connection = new Connection(listener)
        this.made.push(connection)
        return connection
      },
      (state) => this.states.push(state),
    )
    t.after(() => this.reconnector.close())
    this.reconnector.connect()
  }

  get kinds(): string[] {
    return this.states.map(({ kind }) => kind)
  }

  at(index: number): Connection {
    return this.made[index] ?? assert.fail(`there is no connection ${index}`)
  }

  pass(ms: number): void {
    this.#now += ms
    this.#t.mock.timers.tick(ms)
  }
}

describe('A connection that is lost', () => {
  test('is replaced at once if it has lasted, whatever failed before it', (t) => {
    const fixture = new Fixture(t)
    fixture.at(0).lost('refused')
    fixture.pass(100)
    fixture.at(1).connected()
    fixture.pass(101)
    fixture.at(1).lost()
    assert.equal(fixture.made.length, 3)
    assert.deepEqual(fixture.kinds, ['failed', 'connected', 'connecting'])
  })

  test('is replaced after a growing backoff while connections do not last', (t) => {
    const fixture = new Fixture(t)
    for (const [index, backoffMs] of [100, 200, 400, 800].entries()) {
      fixture.at(index).connected()
      fixture.pass(100)
      fixture.at(index).lost()
      fixture.pass(backoffMs - 1)
      assert.equal(fixture.made.length, index + 1)
      fixture.pass(1)
      assert.equal(fixture.made.length, index + 2)
    }
  })

  test('is replaced by the attempt that runs already', (t) => {
    const fixture = new Fixture(t)
    fixture.at(0).connected()
    fixture.pass(200)
    fixture.reconnector.replaceConnection()
    fixture.at(0).lost()
    assert.equal(fixture.made.length, 2)
    fixture.at(1).connected()
    assert.equal(fixture.reconnector.connected, fixture.at(1))
    assert.deepEqual(fixture.kinds, ['connected', 'connecting', 'connected'])
  })
})

describe('A silent connection', () => {
  function replaced(t: TestContext): Fixture {
    const fixture = new Fixture(t)
    fixture.at(0).connected()
    fixture.reconnector.replaceConnection()
    return fixture
  }

  test('is replaced by one other, and closed if it stays silent for half a second more', (t) => {
    const fixture = replaced(t)
    fixture.reconnector.replaceConnection()
    assert.deepEqual([fixture.made.length, fixture.reconnector.connected], [2, fixture.at(0)])
    fixture.at(1).connected()
    assert.deepEqual([fixture.reconnector.connected, fixture.at(0).state], [fixture.at(1), 'draining'])
    fixture.pass(499)
    assert.equal(fixture.at(0).state, 'draining')
    fixture.pass(1)
    assert.deepEqual([fixture.at(0).state, fixture.at(1).state], ['closed', 'new'])
  })

  test('that answers after it was replaced finishes its calls', (t) => {
    const fixture = replaced(t)
    fixture.at(1).connected()
    fixture.at(0).bytesRead += 1
    fixture.pass(60_000)
    assert.equal(fixture.at(0).state, 'draining')
  })

  test('stays if it answers before another one is established', (t) => {
    const fixture = replaced(t)
    fixture.at(1).lost('refused')
    fixture.at(0).bytesRead += 1
    fixture.pass(100)
    fixture.at(2).lost('refused')
    fixture.pass(60_000)
    assert.deepEqual([fixture.made.length, fixture.reconnector.connected], [3, fixture.at(0)])
    assert.deepEqual(fixture.kinds, ['connected'], 'it has never failed')
  })
})

describe('A connection that drains', () => {
  test('is replaced at once, and closed with the others', (t) => {
    const fixture = new Fixture(t)
    fixture.at(0).connected()
    fixture.pass(200)
    fixture.at(0).listener.onDraining(fixture.at(0))
    assert.equal(fixture.made.length, 2)
    fixture.at(1).listener.onDraining(fixture.at(1))
    assert.equal(fixture.at(1).state, 'closed', 'an attempt carries no calls yet')
    fixture.pass(100)
    fixture.at(2).connected()
    fixture.reconnector.close()
    assert.deepEqual(
      fixture.made.map(({ state }) => state),
      ['closed', 'closed', 'closed'],
    )
    fixture.pass(60_000)
    fixture.reconnector.connect()
    assert.equal(fixture.made.length, 3)
  })
})
