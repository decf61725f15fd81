import { fullJitterMs } from '../core/backoff.js'
import { EtcdError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { positiveInteger } from '../core/validate.js'
import { notInTime, sleep, timeLeft, waitWithin } from '../core/wait.js'
import type { CallOptions } from '../transport/transport.js'
import type { PutOptions } from './requests.js'
import type { ConditionalResult, RangeResult, UpdateResult } from './results.js'

/** Makes the new value from the current key: `null` deletes the key, `undefined` leaves it as it is. */
export type UpdateFunction = (
  current: KeyValue | undefined,
) => Bytes | null | undefined | Promise<Bytes | null | undefined>

/** Options of `update()`; `timeoutMs` applies to all attempts together, including the time that the function takes. */
export type UpdateOptions = Pick<PutOptions, 'lease' | 'ignoreLease'> &
  CallOptions & {
    /** Maximum number of attempts against other writers. @default 100 */
    readonly maxAttempts?: number | undefined
  }

/** The part of the KV API that an update uses. */
export interface UpdateTarget {
  range(key: Bytes, options: CallOptions): Promise<RangeResult>
  putIf(key: Bytes, value: Bytes, modRevision: number, options: PutOptions): Promise<ConditionalResult>
  deleteIf(key: Bytes, modRevision: number, options: CallOptions): Promise<ConditionalResult>
}

const conflictBackoff = { baseMs: 5, maxMs: 250 }

/** Reads, changes and writes back, until no other writer interferes. */
export async function update(
  kv: UpdateTarget,
  key: Buffer,
  change: UpdateFunction,
  options: UpdateOptions,
): Promise<UpdateResult> {
  const { maxAttempts = 100, signal, timeoutMs } = options
  positiveInteger('maxAttempts', maxAttempts)
  const rest = timeLeft(timeoutMs)
  const bounds = (): CallOptions => ({ signal, timeoutMs: rest() })
  const read = await kv.range(key, bounds())
  let current = read.kvs[0]
  let revision = read.revision
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    const value = await waitWithin(changed(change, current), bounds(), changeTooLate)
    if (value === undefined || (value === null && current === undefined)) {
      return { changed: false, revision, attempts: attempt }
    }
    const result = await write(kv, key, value, current?.modRevision ?? 0, options, rest())
    if (result.succeeded) return { changed: true, revision: result.revision, attempts: attempt }
    current = result.current
    revision = result.revision
    await sleep(Math.min(fullJitterMs(attempt, conflictBackoff), rest() ?? Number.POSITIVE_INFINITY), signal)
  }
  throw new EtcdError(`another writer changed the key in each of ${maxAttempts} attempts`, {
    code: 'UPDATE_CONFLICT',
    effect: 'none',
  })
}

/** Calls the function, and turns an exception into a rejection. */
async function changed(change: UpdateFunction, current: KeyValue | undefined): Promise<Bytes | null | undefined> {
  return change(current)
}

function changeTooLate(): EtcdError {
  return notInTime('the function passed to update() did not settle in time')
}

function write(
  kv: UpdateTarget,
  key: Buffer,
  value: Bytes | null,
  modRevision: number,
  { lease, ignoreLease, signal }: UpdateOptions,
  timeoutMs: number | undefined,
): Promise<ConditionalResult> {
  if (value === null) return kv.deleteIf(key, modRevision, { signal, timeoutMs })
  const fields = ignoreLease === true ? { ignoreLease } : { lease }
  return kv.putIf(key, value, modRevision, { ...fields, signal, timeoutMs })
}
