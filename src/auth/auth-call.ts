import { InvalidArgumentError } from '../core/errors.js'
import { wellFormed } from '../core/validate.js'
import type { Method } from '../protobuf/methods.js'
import type { CallOptions } from '../transport/transport.js'

/** Makes one call of the Auth service. */
export type AuthCall = <Request, Response>(
  method: Method<Request, Response>,
  request: Request,
  options: CallOptions | undefined,
) => Promise<Response>

/**
 * The longest key of etcd's database file. Members do not check it: each one that applies a longer name ends with a fatal
 * error, and again whenever it is restarted.
 */
const maxNameBytes = 32_768

/** Validates the name of a user or role, which etcd requires to be non-empty. */
export function someName(what: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') {
    const kind = value === '' ? 'an empty one' : typeof value
    throw new InvalidArgumentError(`\`${what}\` must be a non-empty string, got ${kind}`)
  }
  const bytes = Buffer.byteLength(wellFormed(what, value))
  if (bytes <= maxNameBytes) return value
  throw new InvalidArgumentError(`\`${what}\` must have at most ${maxNameBytes} bytes, got ${bytes}`)
}
