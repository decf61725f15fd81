import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ejectionMs } from '../../src/transport/connection/ejection.js'

test('An ejected member is probed after a backoff that doubles up to a limit, which depends on the reason', (t) => {
  t.mock.method(Math, 'random', () => 1)
  for (const [reason, firstMs, maxMs] of [
    ['unresponsive', 250, 2000],
    ['unavailable', 250, 2000],
    ['no leader', 50, 500],
    ['other cluster', 1000, 30_000],
  ] as const) {
    const backoffs = [1, 2, 100].map((ejections) => Math.round(ejectionMs(ejections, reason)))
    assert.deepEqual(backoffs, [firstMs, 2 * firstMs, maxMs], reason)
  }
})
