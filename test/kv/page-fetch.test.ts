import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fetchPage } from '../../src/kv/page-fetch.js'

interface Asked {
  readonly limit: number
  readonly signal: AbortSignal
}

/** Pages that take so long, by how many keys are asked for. */
function reader(takesMs: (limit: number) => number, asked: Asked[]) {
  return async (limit: number, signal: AbortSignal): Promise<number> => {
    asked.push({ limit, signal })
    await sleep(takesMs(limit), undefined, { signal })
    return limit
  }
}

const unknown = { limit: 500, isKnown: false }
const running = new AbortController().signal

describe('A page of a listing', { concurrency: true }, () => {
  test('is read once if it arrives soon', async () => {
    const asked: Asked[] = []
    assert.deepEqual(
      await fetchPage(
        reader(() => 5, asked),
        unknown,
        running,
      ),
      { page: 500 },
    )
    assert.deepEqual(
      asked.map(({ limit }) => limit),
      [500],
    )
  })

  test('is a single key if the whole page takes too long, and the page is canceled', async () => {
    const asked: Asked[] = []
    const read = reader((limit) => (limit === 1 ? 5 : 60_000), asked)
    assert.deepEqual(await fetchPage(read, unknown, running), { page: 1 })
    assert.deepEqual(
      asked.map(({ limit, signal }) => [limit, signal.aborted]),
      [
        [500, true],
        [1, true],
      ],
    )
  })

  test('is complete if it arrives before the single key, which is canceled', async () => {
    const asked: Asked[] = []
    const read = reader((limit) => (limit === 1 ? 60_000 : 1200), asked)
    assert.deepEqual(await fetchPage(read, unknown, running), { page: 500 })
    assert.equal(asked[1]?.signal.aborted, true)
  })

  test('fails with the error of the whole page', async () => {
    const read = async (limit: number): Promise<number> => {
      await sleep(limit === 1 ? 0 : 1200)
      throw new Error(`${limit} keys`)
    }
    const fetch = await fetchPage(read, unknown, running)
    assert.equal('failure' in fetch && String(fetch.failure), 'Error: 500 keys')
  })

  test('ends when the signal aborts, and leaves no listener on it', async (t: TestContext) => {
    const canceled = new AbortController()
    const removed = t.mock.method(canceled.signal, 'removeEventListener')
    const fetching = fetchPage(
      reader(() => 60_000, []),
      unknown,
      canceled.signal,
    )
    canceled.abort(new Error('enough'))
    assert.ok('failure' in (await fetching))
    assert.ok(removed.mock.callCount() >= 1)
  })
})
