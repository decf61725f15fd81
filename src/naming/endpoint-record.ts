import { type Codec, json } from '../core/codec.js'
import { EtcdError, InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions, describe } from '../core/validate.js'

/** One address at which a service is served. */
export interface ServiceEndpoint {
  /** What its key ends in, which is unique in the service. */
  readonly name: string
  /** Where it is reached, for gRPC `host:port`. */
  readonly address: string
  /** Anything that has a JSON form; `undefined` where there is none, or `null`. */
  readonly metadata: unknown
}

/** A service endpoint to be added. */
export interface NewEndpoint {
  readonly address: string
  /** @default the address */
  readonly name?: string | undefined
  readonly metadata?: unknown
}

/** What is stored of an endpoint, in the order in which Go writes it. `Op` is 0, "add": what is deleted is not stored. */
interface EndpointRecord {
  readonly Op: number
  readonly Addr: string
  readonly Metadata: unknown
}

const records = json<Partial<EndpointRecord> | null>()

/** The values of endpoints as the Go module `naming/endpoints` writes and reads them; the name is not part of them. */
export const endpointCodec: Codec<Omit<ServiceEndpoint, 'name'>> = {
  encode: ({ address, metadata }) => records.encode({ Op: 0, Addr: address, Metadata: metadata ?? null }),
  decode(bytes) {
    const record = records.decode(bytes)
    if (typeof record !== 'object' || record === null || typeof record.Addr !== 'string') {
      throw new EtcdError('not the record of an endpoint', { code: 'DECODE_FAILED', effect: 'none' })
    }
    return { address: record.Addr, metadata: record.Metadata ?? undefined }
  },
}

/** Checks an endpoint to be added, and gives it its name. */
export function checkEndpoint(endpoint: NewEndpoint): ServiceEndpoint {
  assertKnownOptions('a service endpoint', endpoint, ['address', 'name', 'metadata'])
  const { address, metadata } = endpoint
  if (typeof address !== 'string' || address === '') {
    throw new InvalidArgumentError(`\`address\` must be text such as 10.0.0.1:8080, got ${describe(address)}`)
  }
  return { name: checkName(endpoint.name ?? address), address, metadata }
}

/** Checks the name of an endpoint. */
export function checkName(name: unknown): string {
  if (typeof name === 'string' && name !== '') return name
  throw new InvalidArgumentError(`\`name\` must be text of at least one letter, got ${describe(name)}`)
}
