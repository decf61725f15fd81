import { notInTime, type Obstacle, waitWithin } from '../core/wait-within.js'
import type { LockKind } from './lock-observer.js'

/** What bounds the wait of those who give something up. */
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
   * A lock, a leadership or a permit was given up, but the cluster could not be told within the client's `timeoutMs`. It is
   * told as soon as that is possible; otherwise the lease ends what was held.
   */
  releaseDelayed: ReleaseDelayed
}

/** What was given up, and why others cannot have it yet. */
export interface ReleaseDelayed {
  readonly kind: LockKind | 'barrier'
  /** The key that stands for it. */
  readonly key: string
  readonly error: unknown
}

/** What is given up. */
export type Released = Omit<ReleaseDelayed, 'error'>

/**
 * Waits for a release, but no longer than a call may take: whoever gives something up has done so, and what he has made of
 * it must not wait until the cluster is there again. The release goes on.
 */
export async function releaseWithin(releasing: Promise<void>, released: Released, host: ReleaseHost): Promise<void> {
  const tooLate = (): Error => notInTime(`${released.key} could not be deleted in time`, host.obstacle())
  try {
    await waitWithin(releasing, { timeoutMs: host.releaseMs }, tooLate)
  } catch (error) {
    host.releaseDelayed({ ...released, error })
  }
}
