import { InvalidArgumentError, isEtcdError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import { positiveInteger } from '../core/validate.js'
import { timeLeft } from '../core/wait.js'
import type { CallOptions } from '../transport/transport.js'
import { key as keyOf } from './compare.js'
import { put as putOperation } from './operation.js'
import type { PutOptions } from './requests.js'
import type { PutResult } from './results.js'
import type { Txn } from './txn.js'

/** A lease for one key with a time to live, and for others. */
export interface TtlLease {
  readonly id: string
  /**
   * The put was acknowledged. Returns nothing where its key has its whole time left; otherwise renews the lease, and
   * resolves to whether that still existed, and the key with it.
   */
  cover(options: CallOptions): Promise<boolean> | undefined
  /** The cluster does not know this lease any more. */
  gone(): void
  /** The put is over. */
  leave(): void
}

/** Where the leases of keys with a time to live come from. */
export interface TtlLeases {
  /** Time limit of a put without one, in milliseconds. */
  readonly timeoutMs: number
  /** A lease that lasts for `ttlSeconds` at least, and exists as long as the put with it is under way. */
  take(ttlSeconds: number, options: CallOptions): Promise<TtlLease>
}

interface Putter {
  put(key: Bytes, value: Bytes, options: PutOptions): Promise<PutResult>
  txn(): Txn
}

/** Writes a key that ends at some time, on a lease that others may share. */
export async function putWithTtl(
  kv: Putter,
  leases: TtlLeases,
  [key, value]: readonly [Bytes, Bytes],
  { prevKv, signal, timeoutMs = leases.timeoutMs, ...rest }: PutOptions,
): Promise<PutResult> {
  const ttlSeconds = positiveInteger('ttlSeconds', rest.ttlSeconds)
  if (rest.lease !== undefined || rest.ignoreLease !== undefined) {
    throw new InvalidArgumentError('`ttlSeconds` excludes `lease` and `ignoreLease`')
  }
  const left = timeLeft(timeoutMs)
  const within = (): CallOptions => ({ signal, timeoutMs: left() })
  let ended: PutResult | undefined
  for (;;) {
    const lease = await leases.take(ttlSeconds, within())
    try {
      const options = { lease: lease.id, ...within() }
      const result =
        ended === undefined
          ? await kv.put(key, value, { prevKv, ...options })
          : await putIfMissing(kv, [key, value], options, ended)
      if (result === ended || (await (lease.cover(within()) ?? true))) return result
      ended = result
      lease.gone()
    } catch (error) {
      // Somebody has revoked it, or it ended before the put was applied: nothing was written.
      if (!isEtcdError(error, 'LEASE_NOT_FOUND') || left() === 0) throw error
      lease.gone()
    } finally {
      lease.leave()
    }
  }
}

/**
 * Writes a key again that has ended with its lease before its put was acknowledged. Where another client has written it
 * since then, that is what comes after the put `ended`, and remains.
 */
async function putIfMissing(
  kv: Putter,
  [key, value]: readonly [Bytes, Bytes],
  { lease, ...options }: CallOptions & { readonly lease: string },
  ended: PutResult,
): Promise<PutResult> {
  const { succeeded, responses, ...info } = await kv
    .txn()
    .if(keyOf(key).missing())
    .then(putOperation(key, value, { lease }))
    .commit(options)
  return succeeded ? { ...info, prevKv: ended.prevKv } : ended
}
