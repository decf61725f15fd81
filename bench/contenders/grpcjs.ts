import { type ClientOptions, credentials, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js'
import { fromJSON } from '@grpc/proto-loader'
import { descriptor } from '../../src/protobuf/generated/descriptor.js'
import type { Contender, Target } from './contender.js'

type Unary = (request: object) => Promise<Readonly<Record<string, unknown>>>

/** Bare grpc-js with proto-loader, as a service would use it without a client library. */
export function grpcjs({ endpoints: [endpoint = ''], ca }: Target): Contender {
  const options: ClientOptions = { 'grpc.max_receive_message_length': -1, 'grpc.enable_channelz': 0 }
  const definition = fromJSON(descriptor, { longs: String, enums: String, defaults: true, oneofs: true })
  const { KV } = loadPackageDefinition(definition).etcdserverpb as unknown as { readonly KV: ServiceClientConstructor }
  const channel = ca === undefined ? credentials.createInsecure() : credentials.createSsl(Buffer.from(ca))
  const client = new KV(new URL(endpoint).host, channel, options)
  const unary =
    (method: string): Unary =>
    (request) =>
      new Promise((resolve, reject) => {
        client[method]?.(request, (error: unknown, answer: Readonly<Record<string, unknown>>) =>
          error ? reject(error) : resolve(answer),
        )
      })
  const [range, put] = [unary('Range'), unary('Put')]
  return {
    get: (key) => range({ key: Buffer.from(key) }),
    put: (key, value) => put({ key: Buffer.from(key), value }),
    async list(prefix) {
      const { kvs } = await range({ key: Buffer.from(prefix), rangeEnd: prefixEnd(prefix) })
      return (kvs as readonly unknown[]).length
    },
    close: () => client.close(),
  }
}

/** The first key after all keys of an ASCII prefix. */
function prefixEnd(prefix: string): Buffer {
  const end = Buffer.from(prefix)
  end[end.length - 1] = (end.at(-1) ?? 0) + 1
  return end
}
