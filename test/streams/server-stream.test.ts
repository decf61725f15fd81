import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { methods } from '../../src/protobuf/methods.js'
import { RangeStreamSource } from '../../src/streams/range-streams.js'
import { serverStream } from '../../src/streams/server-stream.js'
import type { OpenOptions, OpenStream, StreamSource } from '../../src/streams/stream-source.js'
import type { StreamListener } from '../../src/transport/connection/stream-call.js'
import { settled } from '../informer/fixtures.js'

/** Opens streams to a member that answers what a test says, and records what happens to them. */
class Source {
  readonly log: string[] = []
  options: OpenOptions = {}
  opens = 0
  replacesTokens = false
  failure: unknown
  listener: StreamListener<unknown> | undefined

  readonly source = {
    open: async (_method: unknown, listener: StreamListener<unknown>, options: OpenOptions) => {
      this.opens += 1
      this.options = options
      if (this.failure !== undefined) throw this.failure
      this.listener = listener
      const note = (word: string) => () => void this.log.push(word)
      const call = { pause: note('pause'), resume: note('resume'), cancel: note('cancel') }
      return { call: { ...call, send: note('send'), endRequests: note('end of requests') }, token: undefined }
    },
    refused: (_open: OpenStream, _error: EtcdError) => this.replacesTokens,
    hasPlace: (endpoint: string) => endpoint !== 'full',
  } as unknown as StreamSource

  answers(signal?: AbortSignal): AsyncGenerator<unknown> {
    return serverStream(this.source, methods.KV.RangeStream, { key: Buffer.from('a') } as never, {
      signal,
      endpoint: 'm',
    })
  }

  answer(message: unknown): void {
    this.listener?.onMessage(message)
  }

  end(error?: EtcdError): void {
    this.listener?.onEnd(error)
  }
}

function failure(code: EtcdError['code']): EtcdError {
  return new EtcdError(`for a test: ${code}`, { code, effect: 'none' })
}

describe('A server stream', () => {
  test('sends its request to the member, which is held back while the consumer works', async () => {
    const member = new Source()
    const answers = member.answers()
    const first = answers.next()
    await settled()
    assert.deepEqual([member.options.endpoint, member.log], ['m', ['send', 'end of requests', 'resume']])
    member.answer(1)
    assert.equal((await first).value, 1)
    member.answer(2)
    member.answer(3)
    assert.equal(member.log.at(-1), 'pause')
    member.end()
    const rest = [await answers.next(), await answers.next(), await answers.next()]
    assert.deepEqual(
      rest.map(({ value }) => value),
      [2, 3, undefined],
    )
    assert.equal(member.log.at(-1), 'cancel')
  })

  test('is canceled when its loop is left', async () => {
    const member = new Source()
    const answers = member.answers()
    const first = answers.next()
    await settled()
    member.answer(1)
    await first
    await answers.return(undefined)
    assert.equal(member.log.at(-1), 'cancel')
  })

  test('is canceled by its signal, and leaves no listener', async () => {
    const member = new Source()
    const controller = new AbortController()
    const answers = member.answers(controller.signal)
    const first = answers.next()
    await settled()
    controller.abort(new Error('stop'))
    assert.equal(member.log.at(-1), 'cancel')
    await assert.rejects(first, /stop/)
    const { signal } = new AbortController()
    const others = member.answers(signal)
    const other = others.next()
    await settled()
    member.end()
    await other
    assert.deepEqual(getEventListeners(signal, 'abort'), [])
  })

  test('replaces a token that is refused before the first response, three times', async () => {
    const member = new Source()
    member.replacesTokens = true
    const first = member.answers().next()
    const check = assert.rejects(first, { code: 'INVALID_AUTH_TOKEN' })
    for (let refusals = 0; refusals < 4; refusals += 1) {
      await settled()
      member.end(failure('INVALID_AUTH_TOKEN'))
    }
    await check
    assert.equal(member.opens, 4)
  })

  test('throws any other error, and every error after the first response', async () => {
    const member = new Source()
    const failed = member.answers().next()
    await settled()
    member.end(failure('NO_LEADER'))
    await assert.rejects(failed, { code: 'NO_LEADER' })
    member.replacesTokens = true
    const answers = member.answers()
    const first = answers.next()
    await settled()
    member.answer(1)
    member.answer(2)
    member.end(failure('INVALID_AUTH_TOKEN'))
    assert.deepEqual([(await first).value, (await answers.next()).value], [1, 2])
    await assert.rejects(answers.next(), { code: 'INVALID_AUTH_TOKEN' })
    assert.equal(member.opens, 2)
  })
})

describe('Streams of a range', () => {
  for (const [code, isServed] of [
    ['UNIMPLEMENTED', false],
    ['NOT_SUPPORTED_FOR_LEARNER', false],
    ['NO_LEADER', true],
  ] as const) {
    test(`are ${isServed ? '' : 'not '}opened again on a member that has answered ${code}`, async () => {
      const member = new Source()
      const ranges = new RangeStreamSource(member.source)
      assert.deepEqual([ranges.serves('m'), ranges.serves('full')], [true, false])
      member.failure = failure(code)
      const { signal } = new AbortController()
      await assert.rejects(ranges.read({} as never, 'm', signal).next(), { code })
      assert.deepEqual([ranges.serves('m'), ranges.serves('other')], [isServed, true])
    })
  }
})
