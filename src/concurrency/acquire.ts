import { withAnySignal } from '../core/abort.js'
import { halfJitterMs } from '../core/backoff.js'
import { isEtcdError, isPassing } from '../core/errors.js'
import { sleep, waitWithin } from '../core/wait.js'
import type { Session } from '../lease/session.js'
import type { ConcurrencyHost } from './concurrency-host.js'
import { HeldLock } from './held-lock.js'
import { holderOf } from './lease-entries.js'
import { LockTimeoutError, LockUnavailableError } from './lock-errors.js'
import { LockHandle } from './lock-handle.js'
import type { LockRequest } from './lock-options.js'
import { QueueEntry, type QueueSpec } from './queue-entry.js'
import { ForeignKeyError, type QueueKey } from './queue-key.js'
import { withdrawWithin } from './release.js'

/** A key whose turn has come. */
export interface Turn {
  readonly key: QueueKey
  readonly fence: number
}

/** How far an attempt has come, for the error of a wait that takes too long. */
export interface Progress {
  key?: QueueKey | undefined
  /** The last failure before there was a key. */
  lastError?: unknown
}

const backoff = { baseMs: 50, maxMs: 1000 }

/** Acquires a lock with a key that belongs to this caller alone. */
export function acquire(host: ConcurrencyHost, spec: QueueSpec, request: LockRequest): Promise<LockHandle> {
  const progress: Progress = {}
  const wait = async (signal: AbortSignal): Promise<LockHandle> => {
    const { key, fence } = await takeTurn(host, spec, request, signal, progress)
    const held = new HeldLock(key, request)
    return new LockHandle({
      request,
      keyText: keyTextOf(key, spec, request),
      fence,
      held,
      host,
      onEnd: () => held.giveUp(),
    })
  }
  return observed(host, spec, request, () =>
    waitForLock(host, request, wait, () => timeoutError(host, request, progress)),
  )
}

/** Lets telemetry follow the wait, and the lock. */
export function observed(
  { observer, namespace }: ConcurrencyHost,
  { name }: QueueSpec,
  { kind }: LockRequest,
  wait: () => Promise<LockHandle>,
): Promise<LockHandle> {
  return observer.acquiring({ name: Buffer.concat([namespace, name]), kind }, wait)
}

/**
 * Bounds a wait by the time and the signal of its caller. When it ends early, its queue entry is withdrawn before this
 * rejects, and a lock that is granted late is released.
 */
export async function waitForLock(
  host: ConcurrencyHost,
  request: LockRequest,
  wait: (signal: AbortSignal) => Promise<LockHandle>,
  timeoutError: () => Error,
): Promise<LockHandle> {
  const abort = new AbortController()
  const waiting = wait(abort.signal)
  try {
    return await waitWithin(waiting, request, timeoutError)
  } catch (error) {
    abort.abort(error)
    const withdrawing = waiting.then(
      (late) => late.release(),
      () => {},
    )
    await withdrawWithin(withdrawing, host)
    throw error
  }
}

/** The error for a wait that has taken too long, with what stands in the way. */
export function timeoutError(
  { obstacle }: ConcurrencyHost,
  { name, timeoutMs }: LockRequest,
  { key, lastError }: Progress,
  reason?: string,
): LockTimeoutError {
  return new LockTimeoutError(name, timeoutMs, reason, obstacle() ?? key?.lastError ?? lastError)
}

/**
 * Enters the queue and waits for a turn, again and again: an entry is lost with its lease. A call that does not wait rejects
 * with a `LockUnavailableError` if the turn does not come at once. A rejection leaves no entry behind.
 */
export async function takeTurn(
  host: ConcurrencyHost,
  spec: QueueSpec,
  request: LockRequest,
  signal: AbortSignal,
  progress: Progress,
): Promise<Turn> {
  for (let failures = 1; ; failures += 1) {
    let session: Session | undefined
    try {
      await request.prepare?.(signal)
      session = await host.session(request.ttlSeconds, signal)
      const entry = new QueueEntry(spec, session, host.store)
      Object.assign(progress, { key: entry.key, lastError: undefined })
      return { key: entry.key, fence: await fenceOf(entry, spec, request, signal) }
    } catch (error) {
      signal.throwIfAborted()
      Object.assign(progress, { key: undefined, lastError: error })
      if (!isEntryLost(error, session) && (!request.waits || !isPassing(error))) throw error
      await sleep(halfJitterMs(failures, backoff), signal)
    }
  }
}

async function fenceOf(entry: QueueEntry, spec: QueueSpec, request: LockRequest, signal: AbortSignal): Promise<number> {
  const { key } = entry
  const { name, value, waits } = request
  try {
    const taken = await withAnySignal([signal, key.session.signal], (either) =>
      waits ? entry.acquire(value, either) : entry.tryAcquire(value, either),
    )
    if (typeof taken === 'number') return taken
    throw new LockUnavailableError(name, holderOf(taken, hiddenBytes(spec, request)))
  } catch (error) {
    // The same lease would find the same key again.
    if (error instanceof ForeignKeyError) key.session.retire()
    await key.leave()
    throw error
  }
}

/** Whether only this entry failed, so that another one, with another lease, may succeed. */
function isEntryLost(error: unknown, session: Session | undefined): boolean {
  const isLeaseGone = isEtcdError(error, 'LEASE_NOT_FOUND')
  if (isLeaseGone) session?.revoke().catch(() => {})
  return isLeaseGone || error instanceof ForeignKeyError || session?.signal.aborted === true
}

/** The key as the caller knows it. */
export function keyTextOf({ key }: QueueKey, spec: QueueSpec, request: LockRequest): string {
  return key.subarray(hiddenBytes(spec, request)).toString()
}

/** The length of the namespace that the keys of the queue have for this caller. */
export function hiddenBytes({ name }: QueueSpec, request: LockRequest): number {
  return name.length - Buffer.byteLength(request.name)
}
