import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { methods } from '../../src/protobuf/methods.js'
import type { Contender, Target } from './contender.js'

const frameBytes = 5

/** The floor: node:http2 with frames made by hand, no deadline, no repeat, no balancing, and answers that nobody decodes. */
export function http2({ endpoints: [endpoint = ''], ca }: Target): Contender {
  const session = connect(endpoint, ca === undefined ? {} : { ca })
  return {
    get: (key) => unary(session, '/etcdserverpb.KV/Range', methods.KV.Range.encode({ key: Buffer.from(key) })),
    put: (key, value) =>
      unary(session, '/etcdserverpb.KV/Put', methods.KV.Put.encode({ key: Buffer.from(key), value })),
    close: () => new Promise((resolve) => session.close(() => resolve())),
  }
}

function unary(session: ClientHttp2Session, path: string, message: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: path,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [constants.HTTP2_HEADER_TE]: 'trailers',
    })
    const chunks: Buffer[] = []
    let status: unknown
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('trailers', (trailers) => {
      status = trailers['grpc-status']
    })
    stream.on('error', reject)
    stream.on('end', () => (status === '0' ? resolve(Buffer.concat(chunks)) : reject(new Error(`status ${status}`))))
    stream.end(frame(message))
  })
}

function frame(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(frameBytes + message.length)
  bytes[0] = 0
  bytes.writeUInt32BE(message.length, 1)
  bytes.set(message, frameBytes)
  return bytes
}
