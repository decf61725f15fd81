import { longestTimerMs } from '../core/abort.js'
import { EtcdError } from '../core/errors.js'
import type { CallOptions } from '../transport/transport.js'

/** One caller's wait for what several wait for: it ends by this caller's `signal` and `timeoutMs`, and leaves the others. */
export function waitWithin<T>(shared: Promise<T>, { signal, timeoutMs }: CallOptions): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      leave()
      reject(signal?.reason)
    }
    const onTimeout = (): void => {
      leave()
      reject(tooLate())
    }
    const bounded = timeoutMs !== undefined && timeoutMs <= longestTimerMs
    const timer = bounded ? setTimeout(onTimeout, timeoutMs) : undefined
    const leave = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
    if (signal?.aborted === true) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    shared.then(
      (value) => {
        leave()
        resolve(value)
      },
      (error: unknown) => {
        leave()
        reject(error)
      },
    )
  })
}

function tooLate(): EtcdError {
  return new EtcdError('the deadline passed while waiting for a lease', {
    code: 'DEADLINE_EXCEEDED',
    effect: 'none',
    retryable: true,
    method: 'Lease.LeaseGrant',
  })
}
