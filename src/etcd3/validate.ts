import { InvalidArgumentError } from '../core/errors.js'
import { describe } from '../core/validate.js'

/** Validates a name, such as that of a role or of an election. */
export function nameText(what: string, name: unknown): string {
  if (typeof name === 'string') return name
  throw new InvalidArgumentError(`\`${what}\` must be a string, got ${describe(name)}`)
}

/** Validates the TTL of a lease, with the error of etcd3. */
export function leaseTtl(ttl: unknown): number {
  const seconds = typeof ttl === 'string' ? Number(ttl) : ttl
  if (typeof seconds === 'number' && seconds >= 1) return seconds
  throw new RangeError(`The TTL in an etcd lease must be at least 1 second. Got: ${describe(ttl)}`)
}

/** Validates a name of Node for an encoding of text, or `buffer`. */
export function checkEncoding(encoding: unknown): void {
  if (typeof encoding === 'string' && (encoding === 'buffer' || Buffer.isEncoding(encoding))) return
  throw new InvalidArgumentError(`\`encoding\` must be an encoding of text, got ${describe(encoding)}`)
}
