import { type ErrorCode, EtcdError, isEtcdError } from '../core/errors.js'
import { isTerminal } from '../watch/terminal.js'
import type { Position } from './progress.js'

/** Errors of the source after which a mirror cannot continue from a revision: the history is compacted, or differs. */
const gaps: ReadonlySet<ErrorCode> = new Set(['COMPACTED', 'FUTURE_REVISION', 'CLUSTER_CHANGED', 'REVISION_REWOUND'])
/** Errors with which the destination would reject a write again. */
const refusals: ReadonlySet<ErrorCode> = new Set([
  'DECODE_FAILED',
  'DUPLICATE_KEY',
  'MESSAGE_TOO_LARGE',
  'MIRROR_CONFLICT',
  'REQUEST_TOO_LARGE',
  'TOO_MANY_OPS',
])

/** Throws if the source cannot have the history that was mirrored. */
export function checkSameHistory(mirrored: Position, now: Position): void {
  const { clusterId, revision } = mirrored
  if (clusterId !== undefined && now.clusterId !== undefined && clusterId !== now.clusterId) {
    const message = `the source is cluster ${now.clusterId}, but cluster ${clusterId} was mirrored before`
    throw new EtcdError(message, { code: 'CLUSTER_CHANGED', effect: 'none' })
  }
  if (revision <= now.revision) return
  const message = `the source is at revision ${now.revision}, behind the mirrored ${revision}: was it restored from a backup?`
  throw new EtcdError(message, { code: 'REVISION_REWOUND', effect: 'none' })
}

/** Whether an error of the source requires a comparison of both sides. */
export function isGap(error: unknown): boolean {
  return isEtcdError(error) && gaps.has(error.code)
}

/** Whether another attempt would fail with the same error. After any other error the mirror retries indefinitely. */
export function isFinal(error: unknown): boolean {
  return isTerminal(error) || (isEtcdError(error) && refusals.has(error.code))
}

/** The destination changed during a comparison: read it again. */
class LookAgain extends Error {
  constructor(cause: unknown) {
    super('the destination changed during the read', { cause })
  }
}

/** Rethrows an error of the destination so that it is not handled as an error of the source. */
export function throwAsDestination(error: unknown): never {
  throw isGap(error) ? new LookAgain(error) : error
}

/** Keys of the destination. Its errors are distinguished from those of the source. */
export async function* fromDestination<T>(kvs: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  try {
    yield* kvs
  } catch (error) {
    throwAsDestination(error)
  }
}
