import { EtcdError, withReason } from '../core/errors.js'
import { notInTime, type Obstacle, waitWithin } from '../core/wait.js'
import type { LockKind } from '../telemetry/records.js'

/** Limits the wait for a release. */
export interface ReleaseHost {
  readonly obstacle: Obstacle
  /** The longest wait for a release, in milliseconds. */
  readonly releaseMs: number
  /** A release takes longer than that. */
  releaseDelayed(delayed: ReleaseDelayed): void
}

/** The events of a client about releases. */
export interface ReleaseEvents {
  /**
   * A lock, a leadership or a permit was released, or `enter()` of a double barrier has ended, but the key could not be deleted
   * within the client's `timeoutMs`. The client continues to try until the lease, and the key with it, ends.
   */
  releaseDelayed: ReleaseDelayed
}

/** An incomplete release: the key keeps others waiting. */
export interface ReleaseDelayed {
  readonly kind: LockKind | 'barrier'
  /** The key that is to be deleted. */
  readonly keyText: string
  /** Why it was not deleted in time. */
  readonly error: unknown
}

/** What is released. */
type Released = Omit<ReleaseDelayed, 'error'>

/**
 * Waits for a release, but no longer than a call may take: finished work must not wait for a cluster that cannot be reached.
 * The release continues in the background.
 */
export async function releaseWithin<T>(
  releasing: Promise<T>,
  released: Released,
  host: ReleaseHost,
): Promise<T | undefined> {
  const timeoutError = (): Error => notInTime(`${released.keyText} could not be deleted in time`, host.obstacle())
  try {
    return await waitWithin(releasing, { timeoutMs: host.releaseMs }, timeoutError)
  } catch (error) {
    host.releaseDelayed({ ...released, error })
    return undefined
  }
}

/** The longest that a caller whose wait has ended waits for the deletion of its key. */
const maxWithdrawMs = 1000

/**
 * Waits for the withdrawal of a queue entry, so that a caller that learns of the end of its wait finds its key deleted. The
 * key only delays others, so a cluster that cannot be reached does not delay the caller: the deletion continues in the
 * background.
 */
export async function withdrawWithin(
  withdrawing: Promise<unknown>,
  { obstacle, releaseMs }: Pick<ReleaseHost, 'obstacle' | 'releaseMs'>,
): Promise<void> {
  if (obstacle() !== undefined) return
  const timeoutMs = Math.min(releaseMs, maxWithdrawMs)
  await waitWithin(withdrawing, { timeoutMs }, () => notInTime('not withdrawn')).catch(() => {})
}

/** Waits for the write of a new value, but no longer than a call may take. It may be applied later. */
export function rewriteWithin(written: Promise<void>, keyText: string, host: ReleaseHost): Promise<void> {
  return waitWithin(written, { timeoutMs: host.releaseMs }, () => {
    const cause = host.obstacle()
    const init = { code: 'DEADLINE_EXCEEDED', effect: 'unknown', retryable: true, cause } as const
    return new EtcdError(withReason(`${keyText} was not rewritten in time`, cause), init)
  })
}
