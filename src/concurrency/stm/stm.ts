import { fullJitterMs } from '../../core/backoff.js'
import { InvalidArgumentError } from '../../core/errors.js'
import type { Bytes } from '../../core/key-range.js'
import { describe, oneOf, positiveInteger } from '../../core/validate.js'
import { notInTime, type Obstacle, sleep, timeLeft, waitWithin } from '../../core/wait.js'
import { ownKey } from '../../kv/requests.js'
import { callOptionNames, checkCall } from '../../transport/call-options.js'
import type { CallOptions } from '../../transport/transport.js'
import { Attempt } from './attempt.js'
import { type Isolation, isolationRules } from './isolation.js'
import { load, type StmStore } from './read-set.js'
import { StmConflictError } from './stm-conflict-error.js'
import type { StmTransaction } from './stm-transaction.js'

/** Options of `stm()`. `timeoutMs` limits all attempts together, including the waits of the function. */
export interface StmOptions extends CallOptions {
  /** The isolation level. @default 'serializableSnapshot' */
  readonly isolation?: Isolation | undefined
  /** Keys that every run reads. They are read in one round trip before it begins. */
  readonly prefetch?: readonly Bytes[] | undefined
  /** The maximum number of runs. @default 100 */
  readonly maxAttempts?: number | undefined
}

/** What `stm()` resolves to. */
export interface StmResult<T> {
  /** The result of the function in the run that was committed. */
  readonly value: T
  /** Whether anything was written. */
  readonly changed: boolean
  /** The revision of the commit; if nothing was written, the newest revision of a read, or 0. */
  readonly revision: number
  /** How many times the function was run. */
  readonly attempts: number
}

/** The function of a software transaction. It may run several times, and must have no other side effects. */
export type StmFunction<T> = (tx: StmTransaction) => T | Promise<T>

const optionNames = [...callOptionNames, 'isolation', 'prefetch', 'maxAttempts']
const conflictBackoff = { baseMs: 5, maxMs: 250 }

/** The client of a software transaction. */
interface StmHost {
  readonly obstacle: Obstacle
  /** Time limit of a transaction without one, in milliseconds. */
  readonly timeoutMs: number
}

/** Runs a function until its reads and writes can be committed. */
export async function stm<T>(
  store: StmStore,
  apply: StmFunction<T>,
  options: StmOptions,
  host: StmHost,
): Promise<StmResult<T>> {
  checkCall('stm()', options, optionNames)
  if (typeof apply !== 'function') throw new InvalidArgumentError(`stm() takes a function, got ${describe(apply)}`)
  const {
    isolation = 'serializableSnapshot',
    prefetch = [],
    maxAttempts = 100,
    signal,
    timeoutMs = host.timeoutMs,
  } = options
  const rules = isolationRules[oneOf('isolation', isolation, Object.keys(isolationRules) as Isolation[])]
  positiveInteger('maxAttempts', maxAttempts)
  const prefetched = prefetchKeys(prefetch)
  signal?.throwIfAborted()
  const left = timeLeft(timeoutMs)
  const bounds = (): CallOptions => ({ signal, timeoutMs: left() })
  const fetch = async (keys: readonly Buffer[]) => (keys.length === 0 ? undefined : load(store, keys, bounds()))

  let known = await fetch(prefetched)
  for (let attempts = 1; attempts <= maxAttempts; attempts += 1) {
    const attempt = new Attempt({ attempt: attempts, rules, store, known, options: bounds })
    const ran = await run(attempt, apply, bounds(), host.obstacle)
    known = undefined
    if (ran !== undefined) {
      const outcome = await attempt.commit()
      const { isWriting } = attempt
      if (outcome.succeeded) return { value: ran.value, changed: isWriting, revision: outcome.revision, attempts }
      known = outcome.now
    }
    // The first retry is immediate, with the values that the commit returned. They would be stale after a wait.
    if (attempts === 1 && known !== undefined) continue
    if (attempts === maxAttempts) break
    await sleep(Math.min(fullJitterMs(attempts, conflictBackoff), left() ?? Number.POSITIVE_INFINITY), signal)
    known = await fetch(attempt.keys.length === 0 ? prefetched : attempt.keys)
  }
  throw new StmConflictError(maxAttempts)
}

/** The result of the function; `undefined` if its revision was compacted meanwhile, so that it must run again. */
async function run<T>(
  attempt: Attempt,
  apply: StmFunction<T>,
  bounds: CallOptions,
  obstacle: Obstacle,
): Promise<{ readonly value: T } | undefined> {
  const running = (async () => apply(attempt))()
  try {
    const value = await waitWithin(running, bounds, () =>
      notInTime('the function of the transaction did not finish in time', obstacle()),
    )
    if (attempt.reads.failure === undefined) return { value }
    if (attempt.reads.isCompacted) return undefined
    // The function ignored a failed read.
    throw attempt.reads.failure.error
  } catch (error) {
    if (attempt.reads.isCompacted) return undefined
    throw error
  } finally {
    attempt.end()
  }
}

function prefetchKeys(prefetch: unknown): Buffer[] {
  if (Array.isArray(prefetch)) return prefetch.map(ownKey)
  throw new InvalidArgumentError(`\`prefetch\` must be an array of keys, got ${describe(prefetch)}`)
}
