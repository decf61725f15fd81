import { EtcdError, withReason } from '../../core/errors.js'
import { notInTime, type Obstacle, waitWithin } from '../../core/wait.js'
import type { LockKind } from './lock-observer.js'

/** Bounds how long a release is waited for. */
export interface ReleaseHost {
  readonly obstacle: Obstacle
  /** The longest that a release is waited for, in milliseconds. */
  readonly releaseMs: number
  /** A release is not waited for any longer. */
  releaseDelayed(delayed: ReleaseDelayed): void
}

/** What a client's events say about releases. */
export interface ReleaseEvents {
  /**
   * A lock, a leadership or a permit was released, or `enter()` of a double barrier has ended, but the key could not be deleted
   * within the client's `timeoutMs`. The client goes on trying until the lease ends, and the key with it.
   */
  releaseDelayed: ReleaseDelayed
}

/** A release that is not complete: the key keeps others waiting. */
export interface ReleaseDelayed {
  readonly kind: LockKind | 'barrier'
  /** The key that stands for it. */
  readonly keyText: string
  readonly error: unknown
}

/** What is released. */
export type Released = Omit<ReleaseDelayed, 'error'>

/**
 * Waits for a release, but no longer than a call may take: the result of finished work must not wait until the cluster can
 * be reached again. The release continues in the background.
 */
export async function releaseWithin<T>(
  releasing: Promise<T>,
  released: Released,
  host: ReleaseHost,
): Promise<T | undefined> {
  const tooLate = (): Error => notInTime(`${released.keyText} could not be deleted in time`, host.obstacle())
  try {
    return await waitWithin(releasing, { timeoutMs: host.releaseMs }, tooLate)
  } catch (error) {
    host.releaseDelayed({ ...released, error })
    return undefined
  }
}

/** The longest that a caller who has stopped waiting for a lock waits for the deletion of its key. */
const maxWithdrawMs = 1000

/**
 * Waits until a place in a queue is given back, so that a caller who hears that its wait is over finds its key gone. The key
 * only delays others, so that a cluster which cannot be reached does not hold up the caller: the deletion continues in the
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

/** Waits for a new value of a key, but no longer than a call may take. It may be written later. */
export function rewriteWithin(written: Promise<void>, key: string, host: ReleaseHost): Promise<void> {
  return waitWithin(written, { timeoutMs: host.releaseMs }, () => {
    const cause = host.obstacle()
    const init = { code: 'DEADLINE_EXCEEDED', effect: 'unknown', cause } as const
    return new EtcdError(withReason(`${key} was not rewritten in time`, cause), init)
  })
}
