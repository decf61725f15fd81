import { longestTimerMs } from './abort.js'
import { EtcdError, withReason } from './errors.js'

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
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
    const settle =
      <Value>(settled: (value: Value) => void) =>
      (value: Value): void => {
        leave()
        settled(value)
      }
    const fail = settle(reject)
    const onAbort = (): void => fail(signal?.reason)
    const timer = timeoutMs > longestTimerMs ? undefined : setTimeout(() => fail(tooLate()), timeoutMs)
    if (signal?.aborted === true) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    shared.then(settle(resolve), fail)
  })
}

/** For a wait that its `timeoutMs` has ended, with nothing changed; `cause` is what stands in the way, where that is known. */
export function notInTime(message: string, cause?: unknown): EtcdError {
  const init = { code: 'DEADLINE_EXCEEDED', effect: 'none', retryable: true, cause } as const
  return new EtcdError(withReason(message, cause), init)
}
