import { InvalidArgumentError } from '../../core/errors.js'
import { assertKnownOptions, describe, durationMs, optionalSignal, positiveInteger } from '../../core/validate.js'

/** Options of `lock()`, `tryLock()` and `withLock()`. */
export interface LockOptions {
  /** How long the lock outlives a process that dies, or that cannot reach the cluster. @default 10 */
  readonly ttlSeconds?: number | undefined
  /** Bound of the wait. @default 60 000; of `tryLock()` 10 000 */
  readonly timeoutMs?: number | undefined
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined
  /** What others see in the key while the lock is held, for example who holds it. @default '' */
  readonly value?: string | undefined
}

/** The same, checked and complete. */
export interface LockTerms {
  readonly ttlSeconds: number
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  readonly value: string
}

const optionNames = ['ttlSeconds', 'timeoutMs', 'signal', 'value']
const defaults = { ttlSeconds: 10, waitMs: 60_000, tryMs: 10_000 }

/** What keys begin with, before a slash. */
export function checkLockName(name: unknown): string {
  if (typeof name === 'string' && name !== '') return name
  throw new InvalidArgumentError(`\`name\` must be a string of at least one letter, got ${describe(name)}`)
}

/** Checks the options of who waits for something, or only tries to get it. Throws the reason of an aborted signal. */
export function lockTerms(owner: string, options: LockOptions, waits: boolean): LockTerms {
  assertKnownOptions(owner, options, optionNames)
  const { value = '' } = options
  if (typeof value !== 'string') throw new InvalidArgumentError(`\`value\` must be a string, got ${describe(value)}`)
  const signal = optionalSignal('signal', options.signal)
  signal?.throwIfAborted()
  const defaultTimeoutMs = waits ? defaults.waitMs : defaults.tryMs
  return {
    ttlSeconds: positiveInteger('ttlSeconds', options.ttlSeconds ?? defaults.ttlSeconds),
    timeoutMs: durationMs('timeoutMs', options.timeoutMs ?? defaultTimeoutMs),
    signal,
    value,
  }
}
