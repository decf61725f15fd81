import type { AttemptBatch, AttemptRecord, AttemptStart, CallOutcome, CallRecord } from '../telemetry/records.js'
import type { AttemptLog, BatchedCalls, CallProgress } from '../transport/call-progress.js'

const aborted: CallOutcome = Object.freeze({ ok: false, aborted: true })

/** An attempt that has ended, and when it started. */
interface LoggedAttempt {
  readonly startedAt: number
  readonly record: AttemptRecord
}

/** An attempt in flight. */
export class AttemptInFlight {
  readonly startedAt = performance.now()
  readonly start: AttemptStart
  readonly #progress: CallProgress
  readonly #before: Pick<CallProgress, 'attempts' | 'connectMs'>

  constructor(start: AttemptStart, progress: CallProgress) {
    this.start = start
    this.#progress = progress
    this.#before = { attempts: progress.attempts, connectMs: progress.connectMs }
  }

  /** The rest of its record, if it ends now. */
  ending(outcome: CallOutcome): Omit<AttemptRecord, keyof AttemptStart> {
    const { attempts, connectMs, endpoint, message, responseBytes, batch } = this.#progress
    return {
      durationMs: performance.now() - this.startedAt,
      connectMs: connectMs - this.#before.connectMs,
      endpoint: attempts === this.#before.attempts ? undefined : endpoint,
      requestBytes: message?.length ?? 0,
      responseBytes: outcome.ok ? responseBytes : 0,
      batch: attemptBatch(batch),
      outcome,
    }
  }
}

/** The attempts of a call so far, and those of the batches that have carried it. */
export class RecordedAttempts implements AttemptLog {
  readonly callId: number | undefined
  readonly #ended: LoggedAttempt[] = []
  #inFlight: AttemptInFlight | undefined
  /** The attempt of a batch that the call has left before its end: the batch went on for other calls. */
  #left: LoggedAttempt | undefined

  constructor(callId: number | undefined) {
    this.callId = callId
  }

  /** Why the next attempt is made. */
  get reason(): AttemptStart['reason'] {
    const outcome = this.#ended.at(-1)?.record.outcome
    if (outcome === undefined) return 'first'
    if (outcome.ok) return 'behind'
    return outcome.aborted ? 'aborted' : outcome.code
  }

  began(attempt: AttemptInFlight): void {
    this.#inFlight = attempt
  }

  ended({ startedAt }: AttemptInFlight, record: AttemptRecord): void {
    this.#inFlight = undefined
    this.#ended.push({ startedAt, record })
  }

  absorb({ attemptLog }: CallProgress): void {
    if (!(attemptLog instanceof RecordedAttempts)) return
    this.#ended.push(...attemptLog.#ended)
    const left = attemptLog.#inFlight
    if (left === undefined) return
    this.#left = { startedAt: left.startedAt, record: { ...left.start, ...left.ending(aborted) } }
  }

  /** All attempts of a call that started at `callStartedAt` and ends with `outcome`, and the part of its time that they took. */
  summary(callStartedAt: number, outcome: CallOutcome): Pick<CallRecord, 'attemptRecords' | 'wireMs' | 'connectMs'> {
    const left = this.#left
    const all = left === undefined ? this.#ended : [...this.#ended, { ...left, record: { ...left.record, outcome } }]
    return {
      attemptRecords: all.map(({ record }) => record),
      wireMs: all.reduce((sum, attempt) => sum + wireMsSince(callStartedAt, attempt), 0),
      // The progress of the call has the time of all others.
      connectMs: left === undefined || left.record.endpoint !== undefined ? 0 : msSince(callStartedAt, left),
    }
  }
}

/** The time that an attempt was on the wire, without what was before `callStartedAt`. */
function wireMsSince(callStartedAt: number, { startedAt, record }: LoggedAttempt): number {
  const { endpoint, connectMs, durationMs } = record
  if (endpoint === undefined) return 0
  return Math.max(0, startedAt + durationMs - Math.max(callStartedAt, startedAt + connectMs))
}

function msSince(callStartedAt: number, { startedAt, record: { durationMs } }: LoggedAttempt): number {
  return Math.max(0, startedAt + durationMs - Math.max(callStartedAt, startedAt))
}

function attemptBatch(batch: BatchedCalls | undefined): AttemptBatch | undefined {
  if (batch === undefined) return undefined
  const calls = batch.calls.length
  return calls > 1 ? { method: batch.method, calls } : undefined
}
