import { type ErrorCode, isEtcdError } from '../core/errors.js'
import { isTerminal } from '../watch/terminal.js'

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
