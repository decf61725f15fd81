import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Change, changeOf } from '../../src/informer/change.js'
import { ChangeStream } from '../../src/informer/change-stream.js'
import { settled, textEntry } from './fixtures.js'

function added(key: string): Change<string> {
  const change = changeOf(undefined, textEntry(key), { revision: 1, source: 'watch', initial: false })
  assert.ok(change)
  return change
}

function createStream(signal?: AbortSignal) {
  let ends = 0
  const stream = new ChangeStream<string>(() => {
    ends += 1
  }, signal)
  return { stream, ends: () => ends }
}

/** Whether a promise has settled. */
async function isSettled(promise: Promise<unknown> | undefined): Promise<boolean> {
  let done = false
  promise?.then(
    () => {
      done = true
    },
    () => {},
  )
  await settled()
  return done
}

describe('A stream of changes', () => {
  test('treats a change as consumed when the consumer asks for the next one', async () => {
    const { stream } = createStream()
    const given = stream.give(added('a'))
    assert.equal((await stream.next()).value?.keyText, 'a')
    assert.equal(await isSettled(given), false)
    const next = stream.next()
    assert.equal(await isSettled(given), true)
    const second = stream.give(added('b'))
    assert.equal((await next).value?.keyText, 'b')
    assert.equal(await isSettled(second), false)
  })

  test('answers concurrent calls of next() in order', async () => {
    const { stream } = createStream()
    const results = [stream.next(), stream.next(), stream.next()]
    await stream.give(added('a'))
    await stream.give(added('b'))
    stream.end()
    assert.deepEqual(
      (await Promise.all(results)).map(({ value, done }) => value?.keyText ?? done),
      ['a', 'b', true],
    )
  })

  test('ends once for its consumer and its producer', async () => {
    const { stream, ends } = createStream()
    const given = stream.give(added('a'))
    stream.end()
    stream.end()
    await given
    assert.equal(stream.give(added('b')), undefined)
    assert.deepEqual(await stream.next(), { value: undefined, done: true })
    assert.equal(ends(), 1)
  })

  test('ends when the loop is left', async () => {
    const { stream, ends } = createStream()
    const given = stream.give(added('a'))
    for await (const { keyText } of stream) {
      assert.equal(keyText, 'a')
      break
    }
    await given
    assert.deepEqual([ends(), stream.isOver], [1, true])
  })

  test('throws its failure once, from a pending or the next call', async () => {
    for (const waits of [true, false]) {
      const { stream } = createStream()
      const waiting = waits ? stream.next() : undefined
      stream.fail(new Error('gone'))
      await assert.rejects(waiting ?? stream.next(), /gone/)
      assert.deepEqual(await stream.next(), { value: undefined, done: true })
    }
  })

  test('throws the reason of its signal whenever it aborts', async () => {
    for (const when of ['before', 'while waiting', 'with a change on offer']) {
      const controller = new AbortController()
      if (when === 'before') controller.abort(new Error('stop'))
      const { stream, ends } = createStream(controller.signal)
      const given = when.startsWith('with') ? stream.give(added('a')) : undefined
      const waiting = when === 'while waiting' ? stream.next() : undefined
      controller.abort(new Error('stop'))
      await assert.rejects(waiting ?? settled().then(() => stream.next()), /stop/)
      await given
      assert.equal(ends(), 1)
    }
  })

  test('removes its listener from the signal', async () => {
    const { signal } = new AbortController()
    const removed: string[] = []
    const remove = signal.removeEventListener.bind(signal)
    signal.removeEventListener = (type: string, listener: never) => {
      removed.push(type)
      remove(type, listener)
    }
    createStream(signal).stream.end()
    assert.deepEqual(removed, ['abort'])
  })
})
