import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { authInterceptor } from '../../src/auth/auth-interceptor.js'
import { type AuthEvents, type AuthOptions, TokenSource } from '../../src/auth/token-source.js'
import { EtcdError, isEtcdError } from '../../src/core/errors.js'
import { methods } from '../../src/protobuf/methods.js'
import { channels } from '../../src/telemetry/channels.js'
import type { AuthenticateRecord } from '../../src/telemetry/records.js'
import { progressOf } from '../../src/transport/call-progress.js'
import { type CallContext, type CallOptions, callContext, intercept } from '../../src/transport/transport.js'
import { type FakeCall, fakeTransport, header } from '../support/fake-transport.js'
import { unsignedJwt } from '../support/jwt.js'
import { within } from '../support/slack.js'

const password = 'correct horse'
let users = 0

/** Credentials that share their token with no other test. */
function credentials(): Extract<AuthOptions, { username: string }> {
  users += 1
  return { username: `user-${users}`, password }
}

interface Emitted {
  readonly name: keyof AuthEvents
  readonly payload: AuthEvents[keyof AuthEvents]
}

type Answer = (call: FakeCall, index: number) => unknown

/** A source whose Authenticate calls are answered by a function. */
function sourceOf(options: AuthOptions, answer: Answer, endpoints: () => readonly string[] = () => ['http://fake']) {
  const transport = fakeTransport((call, index) => {
    progressOf.wire(call.context).endpoint = endpoints()[0]
    return answer(call, index)
  })
  const emitted: Emitted[] = []
  const source = new TokenSource(options, {
    transport,
    client: { id: 0, name: 'test', namespace: undefined },
    endpoints,
    events: { emit: (name, payload) => emitted.push({ name, payload }) },
    renewed: () => {},
  })
  return { source, emitted, calls: transport.calls }
}

function numberedTokens(): Answer {
  return (_, index) => ({ header: header(), token: `token-${index + 1}` })
}

function refusal(code: 'INVALID_AUTH_TOKEN' | 'AUTH_OLD_REVISION' | 'USER_EMPTY' | 'AUTH_FAILED'): EtcdError {
  return new EtcdError('refused', { code, effect: 'none', retryable: true, endpoint: 'http://fake' })
}

function unavailable(): EtcdError {
  return new EtcdError('no member', { code: 'NOT_CONNECTED', effect: 'none', retryable: true })
}

function callWithin(options: CallOptions = {}): CallContext {
  return callContext({ timeoutMs: 5000, ...options }, {})
}

/** Makes a call through the interceptor to a member that accepts or rejects tokens; returns the tokens it received. */
async function callThrough(
  source: TokenSource,
  accept: (token: string | undefined, index: number) => void,
  endpoint?: string,
) {
  const seen: (string | undefined)[] = []
  const member = fakeTransport(({ context }, index) => {
    const { token } = context.progress
    seen.push(token)
    progressOf.wire(context).endpoint = endpoint
    accept(token, index)
    return { header: header(), kvs: [], count: 0, more: false }
  })
  const transport = intercept(member, authInterceptor(source))
  const request = { key: Buffer.from('key'), rangeEnd: Buffer.alloc(0) }
  await transport.unary(methods.KV.Range, request as never, callWithin())
  return seen
}

function authenticateRecords(t: TestContext): AuthenticateRecord[] {
  const records: AuthenticateRecord[] = []
  const listen = (record: unknown): number => records.push(record as AuthenticateRecord)
  channels.authenticate.subscribe(listen)
  t.after(() => channels.authenticate.unsubscribe(listen))
  return records
}

describe('A token source with a password', () => {
  test('makes one Authenticate call for all callers, to a healthy voting member, with a timeout of 30 s', async () => {
    const auth = credentials()
    const { source, calls } = sourceOf(auth, numberedTokens())
    const tokens = await Promise.all(Array.from({ length: 200 }, () => source.get('first', callWithin())))
    assert.ok(tokens.every(({ value }) => value === 'token-1'))
    const [call = assert.fail(), ...others] = calls
    assert.deepEqual(others, [])
    assert.equal(call.method, 'Auth.Authenticate')
    assert.deepEqual(call.request, { name: auth.username, password })
    assert.deepEqual([call.context.route.healthyOnly, call.context.route.serializable], [true, false])
    assert.equal(Math.round(call.context.deadlineAt - call.context.startedAt), 30_000)
  })

  test('shares the token only with clients of the same user and cluster', async () => {
    const auth = credentials()
    const first = sourceOf(auth, numberedTokens())
    await first.source.get('first', callWithin())
    const same = sourceOf(auth, numberedTokens(), () => ['http://other', 'http://fake'])
    assert.equal(same.source.current()?.value, 'token-1')
    assert.equal(same.source.held, 'token-1')
    const strangers = [
      sourceOf({ ...auth, password: 'wrong' }, numberedTokens()),
      sourceOf({ ...auth, username: `${auth.username}x` }, numberedTokens()),
      sourceOf(auth, numberedTokens(), () => ['http://elsewhere']),
    ]
    for (const { source } of strangers) assert.equal(source.current(), undefined)
  })

  test('uses its current endpoints when a token is rejected', async () => {
    const auth = credentials()
    const staying = sourceOf(auth, numberedTokens())
    let endpoint = 'http://fake'
    const moving = sourceOf(
      auth,
      (_, index) => ({ header: header(), token: `moved-${index + 1}` }),
      () => [endpoint],
    )
    const token = await staying.source.get('first', callWithin())
    assert.equal(moving.source.current(), token)
    endpoint = 'http://another-cluster'
    moving.source.rejected(token, 'INVALID_AUTH_TOKEN')
    assert.equal((await moving.source.get('rejected', callWithin())).value, 'moved-1')
    assert.equal(staying.source.current(), token)
  })

  test('rejects every caller with a separate error that names user and endpoint', async () => {
    const auth = credentials()
    const { source, calls, emitted } = sourceOf(auth, () => {
      throw refusal('AUTH_FAILED')
    })
    const failures = await Promise.all(
      Array.from({ length: 50 }, () => source.get('first', callWithin()).catch((error: unknown) => error)),
    )
    assert.equal(calls.length, 1)
    assert.equal(new Set(failures).size, 50)
    for (const error of failures) {
      assert.ok(isEtcdError(error, 'AUTH_FAILED'))
      assert.match(error.message, new RegExp(`user "${auth.username}".*http://fake`))
      assert.deepEqual([error.effect, error.retryable], ['none', false])
      assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes(password))
    }
    assert.deepEqual(
      emitted.map(({ name }) => name),
      ['authenticationFailed'],
    )
    assert.deepEqual(source.stats, { authenticated: { first: 0, expiring: 0, rejected: 0 }, failed: 1 })
  })

  test('counts, emits and publishes each Authenticate call with its reason, without password and token', async (t) => {
    const records = authenticateRecords(t)
    const auth = credentials()
    const { source, emitted } = sourceOf(auth, numberedTokens())
    source.rejected(await source.get('first', callWithin()), 'INVALID_AUTH_TOKEN')
    await source.get('rejected', callWithin())
    assert.deepEqual(source.stats, { authenticated: { first: 1, expiring: 0, rejected: 1 }, failed: 0 })
    const common = { username: auth.username, endpoint: 'http://fake' }
    const withoutTimes = records.map(({ durationMs, client, ...record }) => {
      assert.equal(client.name, 'test')
      assert.ok(durationMs >= 0 && durationMs < within(1000))
      return record
    })
    assert.deepEqual(withoutTimes, [
      { ...common, reason: 'first', outcome: { ok: true } },
      { ...common, reason: 'rejected', outcome: { ok: true } },
    ])
    assert.deepEqual(
      emitted.map(({ name }) => name),
      ['authenticated', 'authenticated'],
    )
    const shown = inspect([records, emitted, source], { depth: 9, showHidden: true }) + JSON.stringify(source)
    assert.doesNotMatch(shown, /horse|token-1/)
  })

  test('sends no token to a cluster without authentication', async () => {
    const { source } = sourceOf(credentials(), () => {
      throw new EtcdError('authentication is not enabled', { code: 'AUTH_NOT_ENABLED', effect: 'none' })
    })
    assert.deepEqual(await callThrough(source, () => {}), [undefined])
    assert.equal(source.stats.failed, 0)
  })

  test('releases a caller at its deadline or abort, while the others keep waiting', async () => {
    let answer: (response: unknown) => void = () => {}
    const { source, calls } = sourceOf(credentials(), () => new Promise((resolve) => (answer = resolve)))
    const patient = source.get('first', callWithin({ timeoutMs: Number.POSITIVE_INFINITY }))
    const veryPatient = source.get('first', callWithin({ timeoutMs: 2 ** 40 }))
    await assert.rejects(source.get('first', callWithin({ timeoutMs: 20 })), {
      code: 'DEADLINE_EXCEEDED',
      effect: 'none',
    })
    const controller = new AbortController()
    const aborted = source.get('first', callWithin({ signal: controller.signal }))
    const reason = new Error('enough')
    controller.abort(reason)
    await assert.rejects(aborted, reason)
    await assert.rejects(source.get('first', callWithin({ signal: controller.signal })), reason)
    answer({ header: header(), token: 'late' })
    assert.deepEqual([(await patient).value, (await veryPatient).value], ['late', 'late'])
    assert.equal(calls.length, 1)
  })

  test('gives callers that joined a failed request one attempt each', async () => {
    const { source, calls } = sourceOf(credentials(), (_, index) => {
      if (index === 0) throw unavailable()
      return { header: header(), token: 'second' }
    })
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => source.get('first', callWithin())))
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', ...Array.from({ length: 49 }, () => 'fulfilled')],
    )
    assert.equal(calls.length, 2)
  })

  test('makes at most two attempts for callers that arrive while no member is reachable', async () => {
    const { source, calls } = sourceOf(credentials(), () => {
      throw unavailable()
    })
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => source.get('first', callWithin())))
    assert.ok(results.every(({ status }) => status === 'rejected'))
    assert.equal(calls.length, 2)
  })

  test('makes a new request when the client that made the shared one is closed', async () => {
    const auth = credentials()
    let close: () => void = () => {}
    const closing = sourceOf(
      auth,
      () =>
        new Promise((_, reject) => {
          close = () => reject(new EtcdError('the client is closed', { code: 'CLOSED', effect: 'none' }))
        }),
    )
    const staying = sourceOf(auth, numberedTokens())
    const asked = closing.source.get('first', callWithin())
    const joined = staying.source.get('first', callWithin())
    closing.source.close()
    close()
    await assert.rejects(asked, { code: 'CLOSED' })
    assert.equal((await joined).value, 'token-1')
  })

  test('ends the waits of its calls when its client is closed, whichever client made the request', async () => {
    const auth = credentials()
    const asking = sourceOf(auth, () => new Promise(() => {}))
    const waiting = sourceOf(auth, numberedTokens())
    asking.source.get('first', callWithin()).catch(() => {})
    const joined = waiting.source.get('first', callWithin())
    const provided = sourceOf({ tokenProvider: () => new Promise(() => {}) }, numberedTokens())
    const asked = provided.source.get('first', callWithin())
    const startedAt = performance.now()
    waiting.source.close()
    provided.source.close()
    await assert.rejects(joined, { code: 'CLOSED', effect: 'none' })
    await assert.rejects(asked, { code: 'CLOSED', effect: 'none' })
    await assert.rejects(provided.source.get('first', callWithin()), { code: 'CLOSED' })
    assert.ok(performance.now() - startedAt < within(2000))
    asking.source.close()
  })

  test('renews a token early while calls use the old one', async (t) => {
    let nowMs = performance.now()
    t.mock.method(performance, 'now', () => nowMs)
    let answer: (response: unknown) => void = () => {}
    const { source, calls } = sourceOf(credentials(), (_, index) => {
      if (index === 0) return { header: header(), token: unsignedJwt({ exp: Date.now() / 1000 + 10 }) }
      return new Promise((resolve) => (answer = resolve))
    })
    const old = await source.get('first', callWithin())
    nowMs += 8100
    assert.deepEqual([source.current(), calls.length], [old, 2])
    nowMs += 1100
    assert.deepEqual([source.current(), calls.length], [old, 2])
    answer({ header: header(), token: 'next' })
    await sleep(0)
    assert.equal(source.current()?.value, 'next')
    assert.deepEqual(source.stats.authenticated, { first: 1, expiring: 1, rejected: 0 })
  })
})

describe('The token of a login', () => {
  test('is renewed after 80 % of `tokenTtlMs`', async (t) => {
    let nowMs = performance.now()
    t.mock.method(performance, 'now', () => nowMs)
    const { source, calls } = sourceOf({ ...credentials(), tokenTtlMs: 10_000 }, numberedTokens())
    await source.get('first', callWithin())
    nowMs += 7900
    source.current()
    assert.equal(calls.length, 1)
    nowMs += 1100
    source.current()
    await sleep(0)
    assert.deepEqual([calls.length, source.current()?.value], [2, 'token-2'])
  })

  test('is dropped when the client follows another cluster than the one that issued it', async () => {
    const { source } = sourceOf(credentials(), numberedTokens())
    await source.get('first', callWithin())
    source.clusterFollowed('c1')
    assert.equal(source.held, 'token-1')
    source.clusterFollowed('c2')
    assert.equal(source.held, undefined)
  })
})

describe('The auth interceptor', () => {
  test('replaces a rejected token and retries the call', async () => {
    for (const code of ['INVALID_AUTH_TOKEN', 'USER_EMPTY'] as const) {
      const { source } = sourceOf(credentials(), numberedTokens())
      const seen = await callThrough(source, (token) => {
        if (token === 'token-1') throw refusal(code)
      })
      assert.deepEqual(seen, ['token-1', 'token-2'])
    }
  })

  test('retries with the same token on a member that has not received it yet', async () => {
    const { source, calls } = sourceOf(credentials(), numberedTokens())
    const late = (_: unknown, index: number): void => {
      if (index < 5) throw refusal('INVALID_AUTH_TOKEN')
    }
    const seen = await callThrough(source, late, 'http://follower')
    assert.deepEqual([seen.length, new Set(seen).size, calls.length], [6, 1, 1])
    const lost = (_: unknown, index: number): void => {
      if (index === 0) throw refusal('INVALID_AUTH_TOKEN')
    }
    assert.deepEqual(await callThrough(source, lost, 'http://follower'), ['token-1', 'token-2'])
  })

  test('gives up after three rejections with an error that is not retryable', async () => {
    const { source, calls } = sourceOf(credentials(), numberedTokens())
    const call = callThrough(source, () => {
      throw refusal('INVALID_AUTH_TOKEN')
    })
    await assert.rejects(call, { code: 'INVALID_AUTH_TOKEN', effect: 'none', retryable: false })
    assert.equal(calls.length, 3)
  })

  test('leaves retries with backoff to the retry interceptor while users and roles keep changing', async () => {
    const { source, calls } = sourceOf(credentials(), numberedTokens())
    const call = callThrough(source, () => {
      throw refusal('AUTH_OLD_REVISION')
    })
    await assert.rejects(call, { code: 'AUTH_OLD_REVISION', effect: 'none', retryable: true })
    assert.equal(calls.length, 1)
  })

  test('keeps a simple token after a change of users or roles, and replaces a JWT', async () => {
    const simple = sourceOf(credentials(), numberedTokens())
    const once = (_: unknown, index: number): void => {
      if (index === 0) throw refusal('AUTH_OLD_REVISION')
    }
    assert.deepEqual(await callThrough(simple.source, once), ['token-1', 'token-1'])
    const jwts = [unsignedJwt({ revision: 1 }), unsignedJwt({ revision: 2 })]
    const jwt = sourceOf(credentials(), (_, index) => ({ header: header(), token: jwts[index] }))
    assert.deepEqual(await callThrough(jwt.source, once), jwts)
  })

  test('passes every other error on', async () => {
    const { source, calls } = sourceOf(credentials(), numberedTokens())
    const denied = new EtcdError('permission denied', { code: 'PERMISSION_DENIED', effect: 'none' })
    const call = callThrough(source, () => {
      throw denied
    })
    await assert.rejects(call, (error) => error === denied)
    assert.equal(calls.length, 1)
  })
})

describe('A token source with a fixed token', () => {
  test('sends the token, requests none, and fails at once when it is rejected', async (t) => {
    const records = authenticateRecords(t)
    const expired = unsignedJwt({ exp: 1 })
    for (const token of ['opaque', expired]) {
      const { source, calls, emitted } = sourceOf({ token }, () => assert.fail('nobody must be asked'))
      assert.equal(source.held, token)
      assert.deepEqual(await callThrough(source, () => {}), [token])
      const seen: unknown[] = []
      const refused = callThrough(source, (sent) => {
        seen.push(sent)
        throw refusal('INVALID_AUTH_TOKEN')
      })
      await assert.rejects(refused, { code: 'INVALID_AUTH_TOKEN', retryable: false })
      assert.deepEqual(seen, [token])
      assert.deepEqual([calls, emitted], [[], []])
    }
    assert.deepEqual(records, [])
  })

  test('keeps a token that is about to expire', async (t) => {
    let nowMs = 1_000_000
    t.mock.method(performance, 'now', () => nowMs)
    const token = unsignedJwt({ exp: Date.now() / 1000 + 100 })
    const { source, emitted } = sourceOf({ token }, () => assert.fail('nobody must be asked'))
    nowMs += 99_000
    assert.equal(source.current()?.value, token)
    await sleep(0)
    assert.deepEqual(emitted, [])
  })
})

describe('A token source with a provider', () => {
  test('calls it for the first token and after a rejection, with the reason', async (t) => {
    const records = authenticateRecords(t)
    const reasons: string[] = []
    const tokenProvider = async (reason: string): Promise<string> => `issued-${reasons.push(reason)}`
    const { source, calls } = sourceOf({ tokenProvider }, () => assert.fail('etcd must not be asked'))
    const seen = await callThrough(source, (token) => {
      if (token === 'issued-1') throw refusal('INVALID_AUTH_TOKEN')
    })
    assert.deepEqual(seen, ['issued-1', 'issued-2'])
    assert.deepEqual(reasons, ['first', 'rejected'])
    assert.deepEqual(calls, [])
    assert.deepEqual(
      records.map(({ username, endpoint, reason }) => [username, endpoint, reason]),
      [
        [undefined, undefined, 'first'],
        [undefined, undefined, 'rejected'],
      ],
    )
  })

  test('does not share its tokens with other clients', async () => {
    const tokenProvider = (): string => 'mine'
    const sources = [sourceOf({ tokenProvider }, numberedTokens()), sourceOf({ tokenProvider }, numberedTokens())]
    await sources[0]?.source.get('first', callWithin())
    assert.deepEqual(
      sources.map(({ source }) => source.held),
      ['mine', undefined],
    )
  })

  test('fails calls with AUTH_FAILED if it throws or returns no token, and calls it again after a delay', async () => {
    const bad: readonly unknown[] = [undefined, '', 'two words', 'line\nbreak', 'naïve', 42, Promise.resolve(null)]
    const providers = [
      ...bad.map((token) => () => token as string),
      () => Promise.reject(new Error('the vault is sealed')),
      () => {
        throw new Error('the vault is sealed')
      },
    ]
    for (const provider of providers) {
      let asked = 0
      const { source } = sourceOf(
        {
          tokenProvider: () => {
            asked += 1
            return provider()
          },
        },
        numberedTokens(),
      )
      const expected = {
        code: 'AUTH_FAILED',
        effect: 'none',
        message: /auth\.tokenProvider failed: (it must|the vault)/,
      }
      for (let calls = 0; calls < 3; calls += 1) await assert.rejects(source.get('first', callWithin()), expected)
      assert.equal(asked, 1)
    }
  })

  test('gives up on it after 10 s', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { source } = sourceOf({ tokenProvider: () => new Promise(() => {}) }, numberedTokens())
    const waiting = source.get('first', callWithin({ timeoutMs: 60_000 }))
    const failed = assert.rejects(waiting, { code: 'AUTH_FAILED', message: /deadline/ })
    await Promise.resolve()
    t.mock.timers.tick(10_001)
    await failed
  })
})
