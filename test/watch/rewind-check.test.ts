import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { RewindCheck } from '../../src/watch/rewind-check.js'
import { ServerWatch } from '../../src/watch/server-watch.js'
import { clusterAt, settled, specFor } from './fake-streams.js'

/** A check whose reads return what the test gives them. */
function checking(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const reads: PromiseWithResolvers[] = []
  const ended = new Set<ServerWatch>()
  const rewound: [ServerWatch, string][] = []
  const check = new RewindCheck({
    currentRevision: () =>
      new Promise((resolve, reject) => {
        reads.push({ resolve, reject })
      }),
    isWatching: (watch) => !ended.has(watch),
    rewound: (watch, { message }) => rewound.push([watch, message]),
  })
  return { check, reads, ended, rewound, tick: (ms: number) => t.mock.timers.tick(ms) }
}

interface PromiseWithResolvers {
  resolve(revision: number): void
  reject(error: unknown): void
}

function watchAt(seen: number): ServerWatch {
  return new ServerWatch(specFor('key'), seen + 1, clusterAt(seen))
}

const failed = new EtcdError('no leader', { code: 'NO_LEADER', effect: 'none' })

describe('The check of a rewind', () => {
  test('makes one read for all watches that are suspected during a read', async (t) => {
    const { check, reads, rewound } = checking(t)
    const watches = Array.from({ length: 10 }, (_, index) => watchAt(100 + index))
    for (const watch of watches) check.suspect(watch)
    assert.equal(reads.length, 1)
    reads[0]?.resolve(104)
    await settled()
    assert.equal(reads.length, 2)
    reads[1]?.resolve(104)
    await settled()
    assert.deepEqual([reads.length, rewound.map(([watch]) => watch)], [2, watches.slice(5)])
  })

  test('compares with the latest revision that a watch has seen when its read failed', async (t) => {
    const { check, reads, rewound, tick } = checking(t)
    const watch = watchAt(100)
    check.suspect(watch)
    watch.progress(200)
    check.suspect(watch)
    reads[0]?.reject(failed)
    await settled()
    tick(100)
    await settled()
    reads[1]?.resolve(150)
    await settled()
    assert.match(String(rewound[0]?.[1]), /below 200/)
  })

  test('ends no watch that has ended during the read', async (t) => {
    const { check, reads, ended, rewound } = checking(t)
    const watch = watchAt(100)
    check.suspect(watch)
    ended.add(watch)
    reads[0]?.resolve(5)
    await settled()
    assert.deepEqual(rewound, [])
  })
})
