import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { channels } from '../../src/telemetry/channels.js'
import { type LogLevel, logLines } from '../../src/telemetry/log-lines.js'
import { logLevels, startLogging } from '../../src/telemetry/logger.js'

const client = { id: -1, name: 'app', namespace: undefined }
const error = new EtcdError('gone', { code: 'CONNECTION_LOST', effect: 'none' })
const failed = { ok: false, aborted: false, code: 'CONNECTION_LOST', effect: 'none', error }
const call = { method: 'KV.Put', callId: 7 }
const slow = {
  ...call,
  request: { range: 'prefix', keyText: 'a/', operations: 1 },
  durationMs: 400,
  queueMs: 1,
  authMs: 2,
  connectMs: 3,
  backoffMs: 4,
  wireMs: 390,
  requestBytes: 5,
  responseBytes: 6,
  responseKeys: 8,
  endpoint: 'http://m:1',
  role: 'leader',
  mode: 'serializable',
  attemptRecords: [
    { reason: 'first', endpoint: undefined },
    { reason: 'behind', endpoint: 'http://m:1', batch: { calls: 3 } },
  ],
  outcome: { ok: true },
}
const connection = { endpoint: 'http://m:1', previousMs: 5, reason: undefined }
const range = { range: 'prefix', keyText: 'a/' }
const lock = { kind: 'write', name: 'l' }

/** Records, and how they are logged. */
const logged: readonly (readonly [keyof typeof channels, object, LogLevel, string])[] = [
  [
    'connect',
    { ...connection, previous: 'probing', state: 'ready' },
    'info',
    'connection to http://m:1: ready after 5.0 ms probing',
  ],
  [
    'connect',
    { ...connection, previous: 'ready', state: 'idle', reason: 'reset' },
    'warn',
    'connection to http://m:1: idle, reset after 5.0 ms ready',
  ],
  [
    'connect',
    { ...connection, previous: 'probing', state: 'ejected' },
    'warn',
    'connection to http://m:1: ejected after 5.0 ms probing',
  ],
  [
    'connect',
    { ...connection, previous: 'ready', state: 'closed' },
    'debug',
    'connection to http://m:1: closed after 5.0 ms ready',
  ],
  [
    'connect',
    { ...connection, previous: 'idle', state: 'connecting' },
    'debug',
    'connection to http://m:1: connecting after 5.0 ms idle',
  ],
  [
    'cluster',
    { expected: 'a', actual: 'b', agreed: ['m', 'n'], unreachable: ['o'] },
    'warn',
    'continues with cluster b instead of a, as reported by m, n; not reachable: o',
  ],
  [
    'authenticate',
    { username: 'u', endpoint: 'http://m:1', reason: 'first', durationMs: 12, outcome: { ok: true } },
    'debug',
    'token for u (first) from http://m:1: ok after 12 ms',
  ],
  [
    'authenticate',
    { username: 'u', endpoint: undefined, reason: 'rejected', durationMs: 12, outcome: failed },
    'warn',
    `token for u (rejected) from no member: ${error.message} after 12 ms`,
  ],
  [
    'attempt',
    { ...call, attempt: 2, endpoint: 'http://m:1', durationMs: 1, outcome: failed },
    'debug',
    `KV.Put #7, attempt 2 on http://m:1: ${error.message} after 1.0 ms`,
  ],
  ['watch', { type: 'opened', ...range }, 'debug', 'watch of prefix "a/" opened'],
  [
    'watch',
    { type: 'lost', endpoint: 'http://m:1', watches: 2, error },
    'warn',
    `2 watches lost the connection to http://m:1, ${error.message}`,
  ],
  [
    'watch',
    { type: 'resumed', endpoint: 'http://m:2', watches: 2, downMs: 30 },
    'info',
    '2 watches resumed on http://m:2 after 30 ms',
  ],
  [
    'watch',
    { type: 'ended', range: 'all', keyText: undefined, reconnects: 0, error: undefined },
    'debug',
    'watch of all keys ended',
  ],
  ['lease', { type: 'lost', leaseId: '7a', reason: 'expired', error: undefined }, 'error', 'lease 7a lost: expired'],
  ['lease', { type: 'lost', leaseId: '7a', reason: 'closed', error: undefined }, 'debug', 'lease 7a lost: closed'],
  [
    'lease',
    { type: 'keepAliveLost', endpoint: undefined, leases: 3, error },
    'warn',
    `3 leases are not renewed: lost the connection to their member, ${error.message}`,
  ],
  [
    'lease',
    { type: 'keepAliveResumed', endpoint: 'http://m:2', leases: 3, downMs: 30 },
    'info',
    '3 leases are renewed again on http://m:2 after 30 ms',
  ],
  [
    'lock',
    { type: 'granted', ...lock, durationMs: 20, fence: 9, outcome: { ok: true } },
    'debug',
    'write lock "l" granted after 20 ms, fence 9',
  ],
  [
    'lock',
    { type: 'refused', kind: 'semaphore', name: undefined, durationMs: 20, outcome: { ok: false, aborted: true } },
    'debug',
    'permit refused after 20 ms: aborted',
  ],
  ['lock', { type: 'released', ...lock, heldMs: 20 }, 'debug', 'write lock "l" released after 20 ms'],
  ['lock', { type: 'lost', ...lock, heldMs: 20, error }, 'error', `write lock "l" lost after 20 ms, ${error.message}`],
  [
    'informer',
    { type: 'ready', ...range, size: 4, revision: 9 },
    'info',
    'informer of prefix "a/" has 4 keys at revision 9',
  ],
  [
    'informer',
    { type: 'resync', ...range, reason: 'COMPACTED', fromRevision: 1, toRevision: 9 },
    'warn',
    'informer of prefix "a/" listed its range again, from revision 1 to 9: COMPACTED',
  ],
  [
    'informer',
    { type: 'error', range: 'key', keyText: undefined, terminal: false, error },
    'warn',
    `informer of a key continues after an error, ${error.message}`,
  ],
  [
    'informer',
    { type: 'error', ...range, terminal: true, error },
    'error',
    `informer of prefix "a/" ended, ${error.message}`,
  ],
  [
    'slow',
    slow,
    'warn',
    'slow call KV.Put #7 of prefix "a/", serializable: ok from http://m:1 (leader) after 400 ms (queue 1.0 ms, auth 2.0 ms, connect 3.0 ms, backoff 4.0 ms, wire 390 ms; 5 B sent, 8 keys, 6 B received; attempts: first → no member, behind → http://m:1, one of 3 calls)',
  ],
]

/** Records that are not logged. */
const silent: readonly (readonly [keyof typeof channels, object])[] = [
  ['attempt', { ...call, attempt: 1, endpoint: 'http://m:1', durationMs: 1, outcome: { ok: true } }],
  ['lease', { type: 'renewed', leaseId: '7a', ttlSeconds: 5, durationMs: 1, slackMs: 1 }],
]

/** Logs from `level` on, during the test. */
function log(t: TestContext, level: LogLevel, reportsSlowCalls = true) {
  const lines: string[] = []
  const fields: Record<string, unknown>[] = []
  const at =
    (name: LogLevel) =>
    (more: object, message: string): void => {
      lines.push(`${name} ${message}`)
      fields.push({ ...more })
    }
  const logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  const stop = startLogging({ logger, level, clientId: client.id, reportsSlowCalls })
  t.after(stop)
  return { lines, fields, stop }
}

function publish(records: readonly (readonly [keyof typeof channels, object, ...unknown[]])[], of = client): void {
  for (const [name, record] of records) channels[name].publish({ client: of, ...record })
}

describe('The log', () => {
  test('has one line for each event, from its level on', (t) => {
    for (const [index, level] of logLevels.entries()) {
      const { lines, stop } = log(t, level)
      publish([...logged, ...silent])
      const wanted = logged.filter(([, , each]) => logLevels.indexOf(each) >= index)
      assert.deepEqual(
        lines,
        wanted.map(([, , each, text]) => `${each} app: ${text}`),
      )
      stop()
    }
  })

  test('has the plain fields of the record, the name of the channel, and the error', (t) => {
    const { fields } = log(t, 'debug')
    publish([
      ['lock', { type: 'lost', ...lock, heldMs: 20, error }],
      ['attempt', { ...call, attempt: 2, endpoint: undefined, durationMs: 1, outcome: failed }],
    ])
    assert.deepEqual(fields, [
      { type: 'lost', ...lock, heldMs: 20, channel: 'etcdkit:lock', err: error },
      { ...call, attempt: 2, durationMs: 1, channel: 'etcdkit:attempt', err: error },
    ])
  })

  test('is that of one client, until it ends', (t) => {
    const { lines, stop } = log(t, 'debug')
    publish(logged, { ...client, id: -2 })
    assert.deepEqual(lines, [])
    stop()
    publish(logged)
    assert.deepEqual(lines, [])
    assert.ok(logLines.every(({ channel }) => !channel.hasSubscribers))
  })

  test('subscribes to nothing that it does not need: calls are not measured for it', (t) => {
    log(t, 'info', false)
    assert.deepEqual(
      [channels.attempt, channels.slow, channels.watch].map(({ hasSubscribers }) => hasSubscribers),
      [false, false, true],
    )
    log(t, 'error')
    assert.equal(channels.slow.hasSubscribers, false)
  })
})
