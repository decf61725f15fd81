import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import {
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServiceDefinition,
} from '@grpc/grpc-js'
import { poll } from '../../../src/testing/index.js'
import { TestChannel } from '../../support/channel.js'

const bytes = (value: Buffer): Buffer => value
const method = {
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
}
const service: ServiceDefinition = {
  Method: { ...method, path: '/test/Method', requestStream: false, responseStream: false },
  Stream: { ...method, path: '/test/Stream', requestStream: true, responseStream: true },
}

const unary: handleUnaryCall<Buffer, Buffer> = ({ request }, callback) => {
  if (request.toString() === 'fail') callback({ code: 9, details: 'refused: é 100%' })
  else callback(null, request)
}
const bidi: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
  call.on('data', (message: Buffer) => call.write(message))
  call.on('end', () => call.end())
}

async function serve(t: TestContext): Promise<TestChannel> {
  const server = new Server({ 'grpc.max_receive_message_length': -1 })
  server.addService(service, { Method: unary, Stream: bidi })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  t.after(() => server.forceShutdown())
  const channel = new TestChannel(t, `http://127.0.0.1:${port}`)
  await channel.connected()
  return channel
}

describe('A server of grpc-js', () => {
  test('responds to calls of all sizes, and with errors', async (t) => {
    const channel = await serve(t)
    const messages = Array.from({ length: 300 }, (_, index) => `message ${index}`)
    const outcomes = await Promise.all(messages.map((message) => channel.call(message)))
    assert.deepEqual(
      outcomes.map(({ message }) => message),
      messages,
    )
    const large = 'large'.repeat(1_000_000)
    const both = await Promise.all([channel.call(large), channel.call(large), channel.call('')])
    assert.deepEqual(
      both.map(({ message }) => message?.length),
      [5_000_000, 5_000_000, 0],
    )
    assert.ok(both[0]?.message === large)
    assert.deepEqual((await channel.call('fail')).status, { code: 9, details: 'refused: é 100%' })
  })

  test('exchanges messages on bidirectional streams', async (t) => {
    const channel = await serve(t)
    const { stream, messages, status } = channel.stream()
    for (let index = 0; index < 100; index += 1) {
      await new Promise<void>((callback) =>
        stream.sendMessageWithContext({ callback }, Buffer.alloc(index * 1000, 'x')),
      )
    }
    await poll('all came back', () => messages.length === 100 || undefined)
    assert.ok(messages.every((message, index) => message.length === index * 1000))
    stream.halfClose()
    assert.deepEqual(await status, { code: 0, details: 'OK' })
  })
})
