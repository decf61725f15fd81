import { type ErrorCode, EtcdError, isEtcdError } from '../core/errors.js'
import { isTerminal } from '../watch/terminal.js'
import type { Position } from './progress.js'

/** What the source says when there is no way on from a revision: its history is gone, or it is another one. */
const gaps: ReadonlySet<ErrorCode> = new Set(['COMPACTED', 'FUTURE_REVISION', 'CLUSTER_CHANGED', 'REVISION_REWOUND'])
/** What the destination would refuse again. */
const refusals: ReadonlySet<ErrorCode> = new Set([
  'DECODE_FAILED',
  'DUPLICATE_KEY',
  'MESSAGE_TOO_LARGE',
  'MIRROR_CONFLICT',
  'REQUEST_TOO_LARGE',
  'TOO_MANY_OPS',
])

/** Throws where the source as it is now cannot have the history that was mirrored. */
export function checkSameHistory(mirrored: Position, now: Position): void {
  const { clusterId, revision } = mirrored
  if (clusterId !== undefined && now.clusterId !== undefined && clusterId !== now.clusterId) {
    const message = `the source is cluster ${now.clusterId}, and ${clusterId} was mirrored before`
    throw new EtcdError(message, { code: 'CLUSTER_CHANGED', effect: 'none' })
  }
  if (revision <= now.revision) return
  const message = `the source is at revision ${now.revision}, and ${revision} was mirrored before: restored from a backup?`
  throw new EtcdError(message, { code: 'REVISION_REWOUND', effect: 'none' })
}

/** Whether an error of the source calls for a comparison of both sides. */
export function isGap(error: unknown): boolean {
  return isEtcdError(error) && gaps.has(error.code)
}

/** Whether another attempt would end with the same error. Every other one is gone on from, for as long as it takes. */
export function isFinal(error: unknown): boolean {
  return isTerminal(error) || (isEtcdError(error) && refusals.has(error.code))
}

/** The destination is not what it was, which calls for nothing but another look at it. */
class LookAgain extends Error {
  constructor(cause: unknown) {
    super('the destination changed while it was read', { cause })
  }
}

/** Throws an error of the destination so that it is not taken for one of the source. */
export function throwAsDestination(error: unknown): never {
  throw isGap(error) ? new LookAgain(error) : error
}

/** Keys of the destination; its errors are told apart from those of the source. */
export async function* fromDestination<T>(kvs: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  try {
    yield* kvs
  } catch (error) {
    throwAsDestination(error)
  }
}
