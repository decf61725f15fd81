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

/** A lease that keys with the same time to live share. */
export interface TtlLease {
  readonly id: string
  /**
   * The put was acknowledged. Returns `undefined` if its key has its whole time left; otherwise renews the lease, and
   * resolves to whether it still existed, and with it the key.
   */
  cover(options: CallOptions): Promise<boolean> | undefined
  /** The lease does not exist any more. */
  gone(): void
  /** The put has ended. */
  leave(): void
}

/** The leases of keys with a time to live. */
export interface TtlLeases {
  /** Time limit of a put without one, in milliseconds. */
  readonly timeoutMs: number
  /** A lease that lasts for at least `ttlSeconds`, and exists as long as its put is in flight. */
  take(ttlSeconds: number, options: CallOptions): Promise<TtlLease>
}

interface Putter {
  put(key: Bytes, value: Bytes, options: PutOptions): Promise<PutResult>
  txn(): Txn
}

/** Writes a key with a time to live, on a lease that other keys may share. */
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
      // The lease was revoked, or expired before the put was applied: nothing was written.
      if (!isEtcdError(error, 'LEASE_NOT_FOUND') || left() === 0) throw error
      lease.gone()
    } finally {
      lease.leave()
    }
  }
}

/**
 * Writes a key again that has expired with its lease before its put was acknowledged. If another client has written the key
 * since then, that write comes after the put `ended`, and stays.
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
