import { InvalidArgumentError } from '../core/errors.js'
import {
  assertKnownOptions,
  describe,
  durationMs,
  optionalSignal,
  positiveInteger,
  wellFormed,
} from '../core/validate.js'
import type { LockKind } from '../telemetry/records.js'

/** Options of `lock()`, `tryLock()`, `withLock()` and `lockAll()`, of read/write locks and of semaphores. */
export interface LockOptions {
  /**
   * How long the lock survives a process that dies or cannot reach the cluster, in seconds. A server may extend it: its
   * minimum is 2 s by default.
   * @default 10
   */
  readonly ttlSeconds?: number | undefined
  /** Limit of the wait, in milliseconds. @default 60 000; for calls that do not wait, such as `tryLock()`, 10 000 */
  readonly timeoutMs?: number | undefined
  /** Ends the wait; the call rejects with its reason. */
  readonly signal?: AbortSignal | undefined
  /** The value of the key while the lock is held, for others to see: for example, the name of the host. @default '' */
  readonly value?: string | undefined
}

/** The same, checked and complete. */
export interface ResolvedLockOptions {
  readonly ttlSeconds: number
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  readonly value: string
}

/** One caller's request for a lock, a leadership, or a permit. */
export interface LockRequest extends ResolvedLockOptions {
  /** The name that the caller uses, in its namespace. */
  readonly name: string
  readonly kind: LockKind
  /** Whether to wait for a turn that does not come at once. */
  readonly waits: boolean
  /** Whether the key may be handed over to another caller in this process, or taken over from one. */
  readonly sharesKey: boolean
  /** Runs before each attempt to enter the queue; throws if that is not allowed. */
  readonly prepare?: ((signal: AbortSignal) => Promise<void>) | undefined
}

const optionNames = ['ttlSeconds', 'timeoutMs', 'signal', 'value']
const defaults = Object.freeze({ ttlSeconds: 10, waitMs: 60_000, tryMs: 10_000 })

/** Checks the name of a lock, an election, a barrier, or a queue. */
export function checkLockName(name: unknown): string {
  if (typeof name === 'string' && name !== '') return wellFormed('name', name)
  throw new InvalidArgumentError(`\`name\` must be a non-empty string, got ${describe(name)}`)
}

/** Checks the value of the key of a lock or a leadership, which others see as text. */
export function checkLockValue(value: unknown): string {
  if (typeof value === 'string') return wellFormed('value', value)
  throw new InvalidArgumentError(`\`value\` must be a string, got ${describe(value)}`)
}

/** Checks and completes the options of a call that waits, or does not. Throws the reason of a signal that has aborted. */
export function resolveLockOptions(caller: string, options: LockOptions, waits: boolean): ResolvedLockOptions {
  assertKnownOptions(caller, options, optionNames)
  const { value = '' } = options
  const text = checkLockValue(value)
  const signal = optionalSignal('signal', options.signal)
  signal?.throwIfAborted()
  const defaultTimeoutMs = waits ? defaults.waitMs : defaults.tryMs
  return {
    ttlSeconds: positiveInteger('ttlSeconds', options.ttlSeconds ?? defaults.ttlSeconds),
    timeoutMs: durationMs('timeoutMs', options.timeoutMs ?? defaultTimeoutMs),
    signal,
    value: text,
  }
}
