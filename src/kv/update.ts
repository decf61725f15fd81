import { fullJitterMs } from '../core/backoff.js'
import { EtcdError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { positiveInteger } from '../core/validate.js'
import { notInTime, sleep, timeLeft, waitWithin } from '../core/wait.js'
import type { CallOptions } from '../transport/transport.js'
import type { PutOptions } from './requests.js'
import type { ConditionalResult, RangeResult, UpdateResult } from './results.js'

/** Makes the new value from what the key holds: `null` deletes the key, `undefined` leaves it alone. */
export type UpdateFunction = (
  current: KeyValue | undefined,
) => Bytes | null | undefined | Promise<Bytes | null | undefined>

/** Options of `update()`; `timeoutMs` bounds all attempts together, with what the function itself waits for. */
export type UpdateOptions = Pick<PutOptions, 'lease' | 'ignoreLease'> &
  CallOptions & {
    /** How often to try against other writers. @default 100 */
    readonly maxAttempts?: number | undefined
  }

/** The part of the KV service that an update is made of. */
export interface UpdateTarget {
  range(key: Bytes, options: CallOptions): Promise<RangeResult>
  putIf(key: Bytes, value: Bytes, modRevision: number, options: PutOptions): Promise<ConditionalResult>
  deleteIf(key: Bytes, modRevision: number, options: CallOptions): Promise<ConditionalResult>
}

const conflictBackoff = { baseMs: 5, maxMs: 250 }

/** Reads, changes and writes back, until no other writer came in between. */
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
  throw new EtcdError(`other writers came first ${maxAttempts} times`, { code: 'UPDATE_CONFLICT', effect: 'none' })
}

/** Calls the function; what it throws, the promise rejects with. */
async function changed(change: UpdateFunction, current: KeyValue | undefined): Promise<Bytes | null | undefined> {
  return change(current)
}

function changeTooLate(): EtcdError {
  return notInTime('the function of the update did not end in time')
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
