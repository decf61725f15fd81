import { longestTimerMs, onAbort } from './abort.js'
import { EtcdError, withReason } from './errors.js'
import { Waiter } from './waiter.js'

/** Why nothing can be sent now to any healthy member; `undefined` where something can. */
export type Obstacle = () => EtcdError | undefined

/** What bounds one caller's wait. */
export interface WaitBounds {
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number | undefined
}

/**
 * One caller's wait for what others may wait for as well: it rejects with the reason of `signal`, or with what `tooLate`
 * makes after `timeoutMs`. Nothing becomes of `shared` by that.
 */
export function waitWithin<T>(
  shared: Promise<T>,
  bounds: Pick<WaitBounds, 'signal'> & { timeoutMs?: never },
): Promise<T>
export function waitWithin<T>(shared: Promise<T>, bounds: WaitBounds, tooLate: () => Error): Promise<T>
export function waitWithin<T>(
  shared: Promise<T>,
  { signal, timeoutMs = Number.POSITIVE_INFINITY }: WaitBounds,
  tooLate = (): Error => new Error('there is no bound'),
): Promise<T> {
  if (signal === undefined && timeoutMs > longestTimerMs) return shared
  const waiter = new Waiter<T>({ signal, timeoutMs, onTimeout: (late) => late.reject(tooLate()) })
  shared.then(
    (value) => waiter.resolve(value),
    (reason: unknown) => waiter.reject(reason),
  )
  return waiter.promise
}

/** For a wait that its `timeoutMs` has ended, with nothing changed; `cause` is what stands in the way, where that is known. */
export function notInTime(message: string, cause?: unknown): EtcdError {
  const init = { code: 'DEADLINE_EXCEEDED', effect: 'none', retryable: true, cause } as const
  return new EtcdError(withReason(message, cause), init)
}

/**
 * Resolves after `ms`, or when `waking` aborts; rejects with the reason of `signal` as soon as that aborts. It holds the
 * process open meanwhile.
 */
export async function sleep(ms: number, signal: AbortSignal | undefined, waking?: AbortSignal): Promise<void> {
  signal?.throwIfAborted()
  let stopWaking = (): void => {}
  const waiter = new Waiter<void>({
    signal,
    timeoutMs: Math.min(ms, longestTimerMs),
    onTimeout: (over) => over.resolve(),
    onEnd: () => stopWaking(),
  })
  stopWaking = onAbort(waking, () => waiter.resolve())
  return waiter.promise
}

/** What is left of `timeoutMs` at each call, counted from now; without one, every call has the client's own. */
export function timeLeft(timeoutMs: number | undefined): () => number | undefined {
  if (timeoutMs === undefined) return () => undefined
  const deadlineAt = performance.now() + timeoutMs
  return () => Math.max(0, deadlineAt - performance.now())
}
