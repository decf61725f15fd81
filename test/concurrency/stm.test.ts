import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { StmStore } from '../../src/concurrency/stm/read-set.js'
import { type StmOptions, stm } from '../../src/concurrency/stm/stm.js'
import { StmConflictError } from '../../src/concurrency/stm/stm-conflict-error.js'
import { FakeClock } from '../support/fake-clock.js'
import { MemoryStore } from '../support/memory-store.js'

const host = { obstacle: () => undefined, timeoutMs: 600_000 }

describe('A software transaction', () => {
  /** How often a function runs if another client changes what it has read `conflicts` times. */
  async function runs(t: TestContext, conflicts: number, options: StmOptions = {}) {
    const clock = new FakeClock(t)
    const store = new MemoryStore()
    store.write('a', '0')
    const seen: unknown[] = []
    const running = stm(
      store as unknown as StmStore,
      async (tx) => {
        seen.push((await tx.get('a'))?.valueText)
        if (seen.length <= conflicts) store.write('a', String(seen.length))
        tx.put('a', 'mine')
      },
      options,
      host,
    )
    running.catch(() => {})
    for (let count = 0; count < 200; count += 1) await clock.advance(250)
    const outcome = await running.catch((error: unknown) => error)
    return { outcome, seen, stored: store.get('a')?.valueText, timers: clock.timers }
  }

  test('is run again with the values that it conflicted with, until it can be committed', async (t) => {
    const { outcome, seen, stored, timers } = await runs(t, 3)
    assert.deepEqual(seen, ['0', '1', '2', '3'])
    assert.equal(Object(outcome).attempts, 4)
    assert.deepEqual([stored, timers], ['mine', 0])
  })

  test('is run 100 times by default, or as often as its caller wants, and then writes nothing', async (t) => {
    for (const [options, expected] of [
      [{}, 100],
      [{ maxAttempts: 3 }, 3],
    ] as const) {
      const { outcome, seen, stored } = await runs(t, 1000, options)
      assert.ok(outcome instanceof StmConflictError && outcome.attempts === expected)
      assert.deepEqual([seen.length, stored], [expected, String(expected)])
      t.mock.restoreAll()
    }
  })
})
