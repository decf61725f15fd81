import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { inspect } from 'node:util'
import { type Authenticate, Login, sharedLogin } from '../../src/auth/login.js'
import { Token } from '../../src/auth/token.js'
import { EtcdError } from '../../src/core/errors.js'

function newToken(value = 'token'): Token {
  return new Token(value, 300_000)
}

/** Responses controlled by the test, one for each token request. */
class Answers {
  readonly asked: { readonly reason: string; resolve(token: Token): void; reject(error: unknown): void }[] = []

  readonly authenticate: Authenticate = (reason) =>
    new Promise((resolve, reject) => this.asked.push({ reason, resolve, reject }))

  at(index: number) {
    return this.asked[index] ?? assert.fail(`nobody has asked ${index + 1} times`)
  }

  get reasons(): string[] {
    return this.asked.map(({ reason }) => reason)
  }
}

function wrongPassword(): EtcdError {
  return new EtcdError('authentication failed', { code: 'AUTH_FAILED', effect: 'none' })
}

/** A login that holds a token. */
async function heldLogin(token = newToken('old')): Promise<Login> {
  const login = new Login()
  await login.get(async () => token, 'first')
  return login
}

function manualClock(t: TestContext): { advance(ms: number): void } {
  let nowMs = 1_000_000
  t.mock.method(performance, 'now', () => nowMs)
  return {
    advance(ms) {
      nowMs += ms
    },
  }
}

describe('A login', () => {
  test('replaces a token that members leave unanswered, at most once per interval', async (t) => {
    const clock = manualClock(t)
    const [old, next] = [newToken('old.500'), newToken('next.600')]
    const login = await heldLogin(old)
    assert.equal(login.onStalled(old), true)
    assert.equal(login.held, undefined)
    await login.get(async () => next, 'rejected')
    assert.equal(login.onStalled(next), false)
    assert.equal(login.held, next)
    clock.advance(10_000)
    assert.equal(login.onStalled(next), true)
  })

  test('makes one request for any number of callers, and keeps the token', async () => {
    const answers = new Answers()
    const login = new Login()
    const waiting = Array.from({ length: 100 }, () => login.get(answers.authenticate, 'first'))
    const token = newToken()
    answers.at(0).resolve(token)
    for (const got of await Promise.all(waiting)) assert.equal(got, token)
    assert.equal(await login.get(answers.authenticate, 'first'), token)
    assert.equal(login.held, token)
    assert.deepEqual(answers.reasons, ['first'])
  })

  test('requests a new token after a member rejected it; rejections of older tokens have no effect', async () => {
    const old = newToken('old')
    const login = await heldLogin(old)
    const answers = new Answers()
    login.rejected(old)
    assert.equal(login.held, undefined)
    const waiting = [login.get(answers.authenticate, 'rejected'), login.get(answers.authenticate, 'rejected')]
    login.rejected(old)
    const token = newToken('new')
    answers.at(0).resolve(token)
    await Promise.all(waiting)
    login.rejected(old)
    assert.equal(login.held, token)
    assert.deepEqual(answers.reasons, ['rejected'])
  })

  test('renews a token early with one request, and returns the old token meanwhile', async () => {
    const login = await heldLogin()
    const answers = new Answers()
    const refreshing = [login.refresh(answers.authenticate), login.refresh(answers.authenticate)]
    assert.equal(login.held?.value, 'old')
    answers.at(0).resolve(newToken('new'))
    await Promise.all(refreshing)
    assert.equal(login.held?.value, 'new')
    assert.deepEqual(answers.reasons, ['expiring'])
  })

  test('waits for the requested token when the old one is rejected', async () => {
    const old = newToken('old')
    const login = await heldLogin(old)
    const answers = new Answers()
    const refreshing = login.refresh(answers.authenticate)
    login.rejected(old)
    const waiting = login.get(answers.authenticate, 'rejected')
    answers.at(0).resolve(newToken('new'))
    assert.equal((await waiting).value, 'new')
    await refreshing
    assert.equal(login.held?.value, 'new')
    assert.deepEqual(answers.reasons, ['expiring'])
  })

  test('reports a failed renewal only to callers that need the new token', async () => {
    const old = newToken('old')
    const login = await heldLogin(old)
    const answers = new Answers()
    const refreshing = login.refresh(answers.authenticate)
    login.rejected(old)
    answers.at(0).reject(wrongPassword())
    await refreshing
    await setImmediate()
    await assert.rejects(login.get(answers.authenticate, 'rejected'), { code: 'AUTH_FAILED' })
    assert.equal(answers.asked.length, 1)
  })

  test('keeps the old token when an early renewal fails, and does not retry at once', async (t) => {
    const clock = manualClock(t)
    const login = await heldLogin()
    const answers = new Answers()
    const refreshing = login.refresh(answers.authenticate)
    answers.at(0).reject(wrongPassword())
    await refreshing
    assert.equal(login.held?.value, 'old')
    clock.advance(400)
    await login.refresh(answers.authenticate)
    assert.equal(answers.asked.length, 1)
    clock.advance(700)
    void login.refresh(answers.authenticate)
    assert.equal(answers.asked.length, 2)
  })

  test('shares a rejection, and retries after delays that double up to a minute', async (t) => {
    const clock = manualClock(t)
    const login = new Login()
    let asked = 0
    const refused: Authenticate = async () => {
      asked += 1
      throw wrongPassword()
    }
    const refusals = async () => Promise.allSettled(Array.from({ length: 50 }, () => login.get(refused, 'first')))
    for (const boundMs of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
      const before = asked
      assert.ok((await refusals()).every(({ status }) => status === 'rejected'))
      clock.advance(boundMs / 2 - 1)
      await refusals()
      assert.equal(asked, before + 1, `asked too early, within ${boundMs / 2} ms`)
      clock.advance(boundMs / 2 + 1)
    }
    const token = newToken()
    assert.equal(await login.get(async () => token, 'first'), token)
  })

  test('resets the delay after a success', async (t) => {
    const clock = manualClock(t)
    const login = new Login()
    const refused: Authenticate = () => Promise.reject(wrongPassword())
    for (let failures = 0; failures < 5; failures += 1) {
      await assert.rejects(login.get(refused, 'first'))
      clock.advance(60_000)
    }
    const token = newToken()
    await login.get(async () => token, 'first')
    login.rejected(token)
    await assert.rejects(login.get(refused, 'rejected'))
    clock.advance(1000)
    await login.get(async () => token, 'rejected')
  })

  test('retries an unreachable cluster with the next call', async () => {
    const login = new Login()
    const lost = new EtcdError('no member', { code: 'NOT_CONNECTED', effect: 'none', retryable: true })
    await assert.rejects(
      login.get(() => Promise.reject(lost), 'first'),
      { code: 'NOT_CONNECTED' },
    )
    assert.equal((await login.get(async () => newToken(), 'first')).value, 'token')
  })

  test('does not delay its next request for the times that the cluster was unreachable', async (t) => {
    const clock = manualClock(t)
    const login = new Login()
    const lost = new EtcdError('no member', { code: 'NOT_CONNECTED', effect: 'none', retryable: true })
    for (let failures = 0; failures < 5; failures += 1) {
      await assert.rejects(login.get(() => Promise.reject(lost), 'first'))
    }
    await assert.rejects(login.get(() => Promise.reject(wrongPassword()), 'first'))
    clock.advance(1000)
    assert.equal((await login.get(async () => newToken(), 'first')).value, 'token')
  })

  test('with an external token holds it from the start', async () => {
    const token = newToken()
    const login = new Login(token)
    assert.equal(login.held, token)
    assert.equal(await login.get(() => assert.fail('it must not be asked for'), 'first'), token)
  })
})

describe('sharedLogin()', () => {
  const password = 'correct horse'

  test('is shared by all clients with a common endpoint', () => {
    const ab = sharedLogin(['http://a', 'http://b'], 'shared', password)
    assert.equal(sharedLogin(['http://b'], 'shared', password), ab)
    const bc = sharedLogin(['http://b', 'http://c'], 'shared', password)
    assert.equal(bc, ab)
    assert.equal(sharedLogin(['http://c'], 'shared', password), ab)
  })

  test('is separate for another user, password or cluster', () => {
    const logins = [
      sharedLogin(['http://d'], 'alice', password),
      sharedLogin(['http://d'], 'bob', password),
      sharedLogin(['http://d'], 'alice', `${password}!`),
      sharedLogin(['http://e'], 'alice', password),
      // Parts that would be equal if they were simply concatenated.
      sharedLogin(['http://d'], 'alicec', 'orrect horse'),
      sharedLogin(['http://da'], 'lice', password),
    ]
    assert.equal(new Set(logins).size, logins.length)
  })

  test('evicts the least recently used logins', () => {
    const first = sharedLogin(['http://f'], 'first', password)
    const second = sharedLogin(['http://f'], 'second', password)
    for (let index = 0; index < 998; index += 1) sharedLogin([`http://f${index}`], 'other', password)
    assert.equal(sharedLogin(['http://f'], 'first', password), first)
    sharedLogin(['http://f'], 'last', password)
    assert.equal(sharedLogin(['http://f'], 'first', password), first)
    assert.notEqual(sharedLogin(['http://f'], 'second', password), second)
  })

  test('does not show its password or token', async () => {
    const login = sharedLogin(['http://g'], 'alice', password)
    await login.get(async () => newToken('a-secret-token'), 'first')
    const shown = inspect(login, { depth: 9, showHidden: true }) + JSON.stringify(login)
    assert.doesNotMatch(shown, /secret|horse/)
  })
})
