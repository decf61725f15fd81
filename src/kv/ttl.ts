import { InvalidArgumentError, isEtcdError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import { positiveInteger } from '../core/validate.js'
import type { CallOptions } from '../transport/transport.js'
import type { PutOptions } from './requests.js'
import type { PutResult } from './results.js'

/** Where the leases of keys with a time to live come from. */
export interface TtlLeases {
  /** The ID of a lease that lasts for `ttlSeconds` at least. */
  take(ttlSeconds: number, options: CallOptions): Promise<string>
  /** The cluster does not know this lease any more. */
  gone(ttlSeconds: number, id: string): void
}

interface Putter {
  put(key: Bytes, value: Bytes, options: PutOptions): Promise<PutResult>
}

/** Writes a key that ends by itself, on a lease that others may share. */
export async function putWithTtl(
  kv: Putter,
  leases: TtlLeases,
  [key, value]: readonly [Bytes, Bytes],
  { prevKv, signal, timeoutMs, ...rest }: PutOptions,
): Promise<PutResult> {
  const ttlSeconds = positiveInteger('ttlSeconds', rest.ttlSeconds)
  if (rest.lease !== undefined || rest.ignoreLease !== undefined) {
    throw new InvalidArgumentError('`ttlSeconds` excludes `lease` and `ignoreLease`')
  }
  const startedAt = performance.now()
  const within = (): CallOptions =>
    timeoutMs === undefined ? { signal } : { signal, timeoutMs: Math.max(0, startedAt + timeoutMs - performance.now()) }
  for (let isFirst = true; ; isFirst = false) {
    const lease = await leases.take(ttlSeconds, within())
    try {
      return await kv.put(key, value, { prevKv, lease, ...within() })
    } catch (error) {
      // Somebody has revoked it. The put was not applied.
      if (!isFirst || !isEtcdError(error, 'LEASE_NOT_FOUND')) throw error
      leases.gone(ttlSeconds, lease)
    }
  }
}
