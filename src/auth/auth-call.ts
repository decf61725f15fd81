import { InvalidArgumentError } from '../core/errors.js'
import type { Method } from '../protobuf/methods.js'
import type { CallOptions } from '../transport/transport.js'

/** Makes one call of the Auth service. */
export type AuthCall = <Request, Response>(
  method: Method<Request, Response>,
  request: Request,
  options: CallOptions | undefined,
) => Promise<Response>

/** Validates the name of a user or role, which etcd requires to be non-empty. */
export function someName(what: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value
  throw new InvalidArgumentError(
    `\`${what}\` must be a non-empty string, got ${value === '' ? 'an empty one' : typeof value}`,
  )
}
