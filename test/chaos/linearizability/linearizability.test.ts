import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { randomFrom } from '../../support/random.js'
import { checkLinearizable } from './checker.js'
import type { RecordedCall, RecordedStep, StepResult } from './history.js'
import { porcupineVerdicts } from './porcupine.js'
import { doctored, randomHistory } from './random-history.js'

const put = (value: string): RecordedStep => ({ type: 'put', key: 'k', value })
const read: RecordedStep = { type: 'get', key: 'k' }
const shown = (value: string, modRevision: number, version = 1, createRevision = modRevision): StepResult => ({
  kv: { value, createRevision, modRevision, version },
})

/** A call of one step, from `calledAt` to `returnedAt`, answered at a revision; without one its outcome is unknown. */
function call(
  [calledAt, returnedAt]: readonly [number, number],
  step: RecordedStep,
  revision?: number,
  result: StepResult = {},
): RecordedCall {
  const base = { client: calledAt, calledAt, compares: [], success: [step], failure: [] }
  if (revision === undefined) return { ...base, returnedAt: null, output: null }
  return { ...base, returnedAt, output: { revision, succeeded: true, results: [result] } }
}

function sample(count: number): RecordedCall[][] {
  return Array.from({ length: count }, (_, seed) => {
    const random = randomFrom(seed)
    const shape = { clients: 2 + (seed % 4), calls: 10 + (seed % 25), keys: 1 + (seed % 3), unknown: (seed % 5) * 0.05 }
    const history = randomHistory(random, shape)
    return seed % 2 === 0 ? history : doctored(random, history)
  })
}

describe('The check of linearizability', () => {
  test('accepts calls that overlap, in whatever order they took effect', () => {
    const history = [
      call([0, 10], put('a'), 3),
      call([1, 9], put('b'), 2),
      call([11, 12], read, 3, shown('a', 3, 2, 2)),
    ]
    assert.deepEqual(checkLinearizable(history), { kind: 'linearizable' })
  })

  test('accepts a write without an answer, whether a later read shows it or not', () => {
    for (const result of [shown('a', 2), shown('b', 3, 2, 2)]) {
      const history: RecordedCall[] = [call([0, 1], put('a'), 2), call([2, 0], put('b')), call([3, 4], read, 3, result)]
      assert.deepEqual(checkLinearizable(history), { kind: 'linearizable' })
    }
  })

  const wrong: Readonly<Record<string, readonly RecordedCall[]>> = {
    'a read that is older than a write which ended before it': [
      call([0, 1], put('a'), 2),
      call([2, 3], put('b'), 3),
      call([4, 5], read, 3, shown('a', 2)),
    ],
    'a write that was applied twice': [call([0, 1], put('a'), 2), call([2, 3], read, 3, shown('a', 3, 2, 2))],
    'a write that was lost': [call([0, 1], put('a'), 2), call([2, 3], read, 2, { kv: null })],
    'a read of a value that nobody wrote': [call([0, 1], put('a'), 2), call([2, 3], read, 2, shown('b', 2))],
    'a revision that goes back': [call([0, 1], put('a'), 5), call([2, 3], put('b'), 4)],
    'a write without an answer that takes effect after a read has shown a later one': [
      call([0, 0], put('a')),
      call([1, 2], put('b'), 3),
      call([3, 4], read, 3, shown('b', 3)),
      call([5, 6], read, 3, shown('a', 2)),
    ],
  }
  for (const [name, history] of Object.entries(wrong)) {
    test(`refuses ${name}`, () => assert.equal(checkLinearizable(history).kind, 'illegal'))
  }

  test('accepts what a store could have answered, and agrees with Porcupine on doctored histories', (t) => {
    const histories = sample(600)
    const verdicts = histories.map((history) => checkLinearizable(history).kind)
    assert.ok(verdicts.every((verdict, index) => index % 2 === 1 || verdict === 'linearizable'))
    assert.ok(verdicts.filter((verdict) => verdict === 'illegal').length > 100, 'too few are illegal')
    const others = porcupineVerdicts(histories)
    if (others === undefined) return t.diagnostic('there is no Go toolchain to build Porcupine with')
    assert.deepEqual(
      verdicts.map((verdict) => (verdict === 'linearizable' ? 'Ok' : 'Illegal')),
      others,
    )
  })
})
