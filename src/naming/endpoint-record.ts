import { type Codec, json } from '../core/codec.js'
import { EtcdError, InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions, describe } from '../core/validate.js'

/** An address at which a service is available. */
export interface ServiceEndpoint {
  /** The last part of its key, unique within the service. */
  readonly name: string
  /** The address, `host:port` for gRPC. */
  readonly address: string
  /** Any JSON value; `undefined` if absent or `null`. */
  readonly metadata: unknown
}

/** A service endpoint to add. */
export interface NewEndpoint {
  readonly address: string
  /** @default the address */
  readonly name?: string | undefined
  readonly metadata?: unknown
}

/**
 * The stored record, with the fields in the order in which Go writes them. `Op` is always 0, "add": deleted endpoints
 * are not stored.
 */
interface EndpointRecord {
  readonly Op: number
  readonly Addr: string
  readonly Metadata: unknown
}

const records = json<Partial<EndpointRecord> | null>()

/** Encodes and decodes endpoints as the Go module `naming/endpoints` does; the name is not part of the value. */
export const endpointCodec: Codec<Omit<ServiceEndpoint, 'name'>> = {
  encode: ({ address, metadata }) => records.encode({ Op: 0, Addr: address, Metadata: metadata ?? null }),
  decode(bytes) {
    const record = records.decode(bytes)
    if (typeof record !== 'object' || record === null || typeof record.Addr !== 'string') {
      throw new EtcdError('not an endpoint record', { code: 'DECODE_FAILED', effect: 'none' })
    }
    return { address: record.Addr, metadata: record.Metadata ?? undefined }
  },
}

/** Validates an endpoint to add, and sets its default name. */
export function checkEndpoint(endpoint: NewEndpoint): ServiceEndpoint {
  assertKnownOptions('a service endpoint', endpoint, ['address', 'name', 'metadata'])
  const { address, metadata } = endpoint
  if (typeof address !== 'string' || address === '') {
    throw new InvalidArgumentError(`\`address\` must be a string such as 10.0.0.1:8080, got ${describe(address)}`)
  }
  return { name: checkName(endpoint.name ?? address), address, metadata }
}

/** Validates the name of an endpoint. */
export function checkName(name: unknown): string {
  if (typeof name === 'string' && name !== '') return name
  throw new InvalidArgumentError(`\`name\` must be a non-empty string, got ${describe(name)}`)
}
