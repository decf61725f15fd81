import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { Token } from '../../src/auth/token.js'
import { unsignedJwt } from '../support/jwt.js'

const simpleToken = 'EeVWZezFUyPjHXaR.30'

/** A clock moved by the test: both the wall clock and `performance.now()`. */
class ManualClock {
  #nowMs = 1_000_000

  constructor(t: TestContext) {
    t.mock.method(performance, 'now', () => this.#nowMs)
    t.mock.method(Date, 'now', () => 1_700_000_000_000 + this.#nowMs)
  }

  advance(ms: number): void {
    this.#nowMs += ms
  }
}

function jwtThatEndsIn(ms: number): string {
  return unsignedJwt({ username: 'app', revision: 3, exp: (Date.now() + ms) / 1000 })
}

describe('A JWT', () => {
  test('is renewed after 80 % of the time until its `exp`, however often it is used', (t) => {
    const clock = new ManualClock(t)
    const token = new Token(jwtThatEndsIn(100_000), 1_000)
    clock.advance(79_900)
    token.used('http://a')
    assert.equal(token.isExpiring(), false)
    clock.advance(1_000)
    token.used('http://a')
    assert.equal(token.isExpiring(), true)
  })

  test('that expires at once by the local clock is used until it is rejected', (t) => {
    const clock = new ManualClock(t)
    const tokens = [-3_600_000, -1, 0, 900].map((ms) => new Token(jwtThatEndsIn(ms), 1_000))
    for (let hours = 0; hours < 3; hours += 1) {
      assert.deepEqual(
        tokens.map((token) => token.isExpiring()),
        [false, false, false, false],
      )
      clock.advance(3_600_000)
    }
  })

  test('that is damaged or has no expiry is used until it is rejected', (t) => {
    const clock = new ManualClock(t)
    const [header = '', , signature = ''] = unsignedJwt({}).split('.')
    const payload = (text: string): string => `${header}.${Buffer.from(text).toString('base64url')}.${signature}`
    const damaged = [
      unsignedJwt({ username: 'app' }),
      unsignedJwt({ exp: 'tomorrow' }),
      unsignedJwt({ exp: null }),
      unsignedJwt(null),
      unsignedJwt('exp'),
      payload('{"exp":17000'),
      payload('{"exp":1e999}'),
      payload('\xff\xfe'),
      `${header}._.${signature}`,
    ].map((value) => new Token(value, 1_000))
    clock.advance(86_400_000)
    for (const token of damaged) assert.deepEqual([token.isExpiring(), token.holdsRevision], [false, true], token.value)
  })

  test('contains the auth revision, unlike other tokens', () => {
    assert.equal(new Token(unsignedJwt({ revision: 1 }), 1_000).holdsRevision, true)
    for (const value of [undefined, simpleToken, 'opaque', 'a..c', 'a.b', 'a.b.c.d', 'a.b+.c']) {
      assert.equal(new Token(value, 1_000).holdsRevision, false, value)
    }
  })
})

describe('A simple token', () => {
  test('stays valid while every member that has seen it sees it again', (t) => {
    const clock = new ManualClock(t)
    const token = new Token(simpleToken, 10_000)
    for (let seconds = 0; seconds < 60; seconds += 1) {
      clock.advance(1_000)
      token.used('http://a')
      token.used('http://b')
      assert.equal(token.isExpiring(), false)
    }
  })

  test('is renewed when one member has not seen it for 80 % of its lifetime', (t) => {
    const clock = new ManualClock(t)
    const token = new Token(simpleToken, 10_000)
    token.used('http://b')
    for (let seconds = 0; seconds < 8; seconds += 1) {
      clock.advance(1_000)
      token.used('http://a')
      assert.equal(token.isExpiring(), false, `after ${seconds + 1} s`)
    }
    clock.advance(1_000)
    token.used('http://a')
    assert.equal(token.isExpiring(), true)
  })

  test('that was never used is renewed after 80 % of its lifetime', (t) => {
    const clock = new ManualClock(t)
    const token = new Token(simpleToken, 10_000)
    clock.advance(7_900)
    assert.equal(token.isExpiring(), false)
    clock.advance(1_000)
    assert.equal(token.isExpiring(), true)
  })

  test('may be unknown for a moment to members that have not accepted it yet', (t) => {
    const clock = new ManualClock(t)
    const token = new Token(simpleToken, 10_000)
    token.used('http://a')
    assert.deepEqual([token.maySpreadTo('http://a'), token.maySpreadTo('http://b')], [false, true])
    assert.equal(new Token(jwtThatEndsIn(100_000), 1_000).maySpreadTo('http://b'), false)
    assert.equal(new Token(undefined, 10_000).maySpreadTo('http://b'), false)
    clock.advance(1_000)
    assert.equal(token.maySpreadTo('http://b'), false)
  })

  test('with a configured lifetime of less than a second is used until it is rejected', (t) => {
    const clock = new ManualClock(t)
    const token = new Token(simpleToken, 0)
    clock.advance(60_000)
    assert.equal(token.isExpiring(), false)
  })
})

describe('A token', () => {
  test('is checked once a second, not on every call', (t) => {
    const clock = new ManualClock(t)
    const token = new Token(jwtThatEndsIn(100_000), 1_000)
    clock.advance(90_000)
    assert.equal(token.isExpiring(), true)
    clock.advance(900)
    assert.equal(token.isExpiring(), false)
    clock.advance(200)
    assert.equal(token.isExpiring(), true)
  })

  test('that stands for disabled authentication never expires', (t) => {
    const clock = new ManualClock(t)
    const token = new Token(undefined, 10_000)
    clock.advance(86_400_000)
    assert.equal(token.isExpiring(), false)
  })
})
