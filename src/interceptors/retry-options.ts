import { type ErrorCode, InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions, describe, durationMs, nearest, positiveInteger } from '../core/validate.js'
import { serverErrors } from '../transport/server-errors.js'

/**
 * How failed calls are retried. A call is never retried if it could be applied twice, whatever is set here, nor after its
 * `timeoutMs`.
 */
export interface RetryOptions {
  /** Maximum number of attempts per call, the first one included; 1 disables retries. @default Infinity: `timeoutMs` is the limit */
  readonly maxAttempts?: number | undefined
  /**
   * The delay before a retry, when there is no other member to try at once, is random up to this time. It doubles with each retry.
   * In milliseconds. @default 25
   */
  readonly baseDelayMs?: number | undefined
  /** Maximum delay before a retry, in milliseconds. After `TOO_MANY_REQUESTS` it is at least 1000. @default 500 */
  readonly maxDelayMs?: number | undefined
  /** Retries only errors with these codes. @default every error that is transient */
  readonly codes?: readonly ErrorCode[] | undefined
}

/** The validated options. */
export interface RetryPolicy {
  readonly maxAttempts: number
  readonly baseDelayMs: number
  readonly maxDelayMs: number
  readonly codes: ReadonlySet<ErrorCode> | undefined
}

/** The defaults. */
export const defaultRetryPolicy: RetryPolicy = Object.freeze({
  maxAttempts: Number.POSITIVE_INFINITY,
  baseDelayMs: 25,
  maxDelayMs: 500,
  codes: undefined,
})

const transient = [...serverErrors.values()].filter(({ retryable }) => retryable).map(({ code }) => code)
/** The codes of errors that can be retried. */
const retriedCodes: readonly ErrorCode[] = [
  ...new Set<ErrorCode>(['NOT_CONNECTED', 'CONNECTION_LOST', 'LEADER_LOST', ...transient]),
]

/** Validates the option `retry`. */
export function resolveRetry(retry: RetryOptions | undefined): RetryPolicy {
  if (retry === undefined) return defaultRetryPolicy
  assertKnownOptions('retry', retry, ['maxAttempts', 'baseDelayMs', 'maxDelayMs', 'codes'])
  const { maxAttempts, baseDelayMs, maxDelayMs, codes } = { ...defaultRetryPolicy, ...defined(retry) }
  if (maxAttempts !== Number.POSITIVE_INFINITY) positiveInteger('retry.maxAttempts', maxAttempts)
  durationMs('retry.baseDelayMs', baseDelayMs)
  // A higher base alone raises the maximum.
  const max =
    retry.maxDelayMs === undefined ? Math.max(baseDelayMs, maxDelayMs) : durationMs('retry.maxDelayMs', maxDelayMs)
  if (max < baseDelayMs) {
    throw new InvalidArgumentError(
      `\`retry.maxDelayMs\` must be at least \`retry.baseDelayMs\`, ${baseDelayMs}, got ${max}`,
    )
  }
  return Object.freeze({
    maxAttempts,
    baseDelayMs,
    maxDelayMs: max,
    codes: codes === undefined ? undefined : checkedCodes(codes),
  })
}

function defined(retry: RetryOptions): Partial<RetryPolicy> {
  return Object.fromEntries(Object.entries(retry).filter(([, value]) => value !== undefined))
}

/** `unknown`, because programs in JavaScript may pass anything. A code that is never retried would have no effect. */
function checkedCodes(codes: unknown): ReadonlySet<ErrorCode> {
  if (!Array.isArray(codes))
    throw new InvalidArgumentError(`\`retry.codes\` must be an array of codes, got ${describe(codes)}`)
  for (const code of codes) {
    if (retriedCodes.includes(code)) continue
    const meant = typeof code === 'string' ? nearest(code, retriedCodes) : undefined
    const hint =
      meant === undefined ? `codes that can be retried are ${retriedCodes.join(', ')}` : `did you mean '${meant}'?`
    throw new InvalidArgumentError(`\`retry.codes\` has ${describe(code)}, which is never retried: ${hint}`)
  }
  return new Set(codes)
}
