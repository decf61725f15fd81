import { longestTimerMs, onAbort } from './abort.js'
import { EtcdError, withReason } from './errors.js'
import { Waiter } from './waiter.js'

/** Why no member can be reached now; `undefined` if one can. */
export type Obstacle = () => EtcdError | undefined

/** The limits of one caller's wait. */
export interface WaitBounds {
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number | undefined
}

/**
 * One caller's wait for a promise that others may share: it rejects with the reason of `signal`, or after `timeoutMs` with
 * the error that `timedOut` makes. `shared` is not affected.
 */
export function waitWithin<T>(
  shared: Promise<T>,
  bounds: Pick<WaitBounds, 'signal'> & { timeoutMs?: never },
): Promise<T>
export function waitWithin<T>(shared: Promise<T>, bounds: WaitBounds, timedOut: () => Error): Promise<T>
export function waitWithin<T>(
  shared: Promise<T>,
  { signal, timeoutMs = Number.POSITIVE_INFINITY }: WaitBounds,
  timedOut = (): Error => new Error('there is no bound'),
): Promise<T> {
  if (signal === undefined && timeoutMs > longestTimerMs) return shared
  const waiter = new Waiter<T>({ signal, timeoutMs, onTimeout: (late) => late.reject(timedOut()) })
  shared.then(
    (value) => waiter.resolve(value),
    (reason: unknown) => waiter.reject(reason),
  )
  return waiter.promise
}

/** The error of a wait that exceeded its `timeoutMs`; `cause` is the reason, if known. */
export function notInTime(message: string, cause?: unknown): EtcdError {
  const init = { code: 'DEADLINE_EXCEEDED', effect: 'none', retryable: true, cause } as const
  return new EtcdError(withReason(message, cause), init)
}

/**
 * Resolves after `ms`, or when `waking` aborts; rejects with the reason of `signal` as soon as that aborts. It holds the
 * process open meanwhile.
 */
export async function sleep(ms: number, signal: AbortSignal | undefined, waking?: AbortSignal): Promise<void> {
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

/** Returns a function for the remaining time of `timeoutMs`, counted from now; `undefined` means the client's default. */
export function timeLeft(timeoutMs: number | undefined): () => number | undefined {
  if (timeoutMs === undefined) return () => undefined
  const deadlineAt = performance.now() + timeoutMs
  return () => Math.max(0, deadlineAt - performance.now())
}
