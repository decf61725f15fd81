import { methods } from '../protobuf/methods.js'
import { begin, type ChannelPair, channels, isObserved, outcomeOf, settle, tracing } from '../telemetry/channels.js'
import type { ClientTelemetry } from '../telemetry/client-telemetry.js'
import type {
  AttemptBatch,
  AttemptRecord,
  AttemptStart,
  CallOutcome,
  CallRecord,
  CallStart,
} from '../telemetry/records.js'
import {
  type AttemptLog,
  type BatchedCalls,
  type CallProgress,
  endpointOf,
  progressOf,
  responseBytesOf,
} from '../transport/call-progress.js'
import type { CallContext } from '../transport/transport.js'
import { callRequest, operationsOf, responseKeys } from './call-request.js'

/** What a record says of a method. */
export interface NamedMethod {
  readonly name: string
  readonly path: string
}

/** What the member at an endpoint does, as far as it is known. */
export type RoleOf = (endpoint: string) => CallRecord['role']

const calls: ChannelPair<CallStart> = { ended: channels.call, traced: tracing.call }
const attempts: ChannelPair<AttemptStart> = { ended: channels.attempt, traced: tracing.attempt }

const ok: CallOutcome = Object.freeze({ ok: true })
const aborted: CallOutcome = Object.freeze({ ok: false, aborted: true })
let lastId = 0

/** Whether anybody wants to know of calls. */
export function callsAreObserved(): boolean {
  return isObserved(calls) || channels.slow.hasSubscribers
}

/** Whether anybody wants to know of attempts, be it as a part of their calls. */
export function attemptsAreObserved(): boolean {
  return isObserved(attempts) || callsAreObserved()
}

/** An attempt, and when it was made. */
interface Sending {
  readonly at: number
  readonly record: AttemptRecord
}

/** An attempt under way. */
class UnderWay {
  readonly at = performance.now()
  readonly start: AttemptStart
  readonly #progress: CallProgress
  readonly #before: Pick<CallProgress, 'attempts' | 'connectMs'>

  constructor(start: AttemptStart, progress: CallProgress) {
    this.start = start
    this.#progress = progress
    this.#before = { attempts: progress.attempts, connectMs: progress.connectMs }
  }

  /** What there is to tell of it if it ends now. */
  ending(outcome: CallOutcome): Omit<AttemptRecord, keyof AttemptStart> {
    const { attempts, connectMs, endpoint, message, responseBytes, batch } = this.#progress
    return {
      durationMs: performance.now() - this.at,
      connectMs: connectMs - this.#before.connectMs,
      endpoint: attempts === this.#before.attempts ? undefined : endpoint,
      requestBytes: message?.length ?? 0,
      responseBytes: outcome.ok ? responseBytes : 0,
      batch: batchOf(batch),
      outcome,
    }
  }
}

/** The attempts of one call, and of those that have carried it, so far. */
class Trail implements AttemptLog {
  readonly callId: number | undefined
  readonly #sendings: Sending[] = []
  #underWay: UnderWay | undefined
  /** What the call has left before its end: it went on for others. */
  #left: Sending | undefined

  constructor(callId: number | undefined) {
    this.callId = callId
  }

  /** Why the next attempt is made. */
  get why(): AttemptStart['reason'] {
    const outcome = this.#sendings.at(-1)?.record.outcome
    if (outcome === undefined) return 'first'
    if (outcome.ok) return 'behind'
    return outcome.aborted ? 'aborted' : outcome.code
  }

  began(attempt: UnderWay): void {
    this.#underWay = attempt
  }

  ended({ at }: UnderWay, record: AttemptRecord): void {
    this.#underWay = undefined
    this.#sendings.push({ at, record })
  }

  absorb({ attemptLog }: CallProgress): void {
    if (!(attemptLog instanceof Trail)) return
    this.#sendings.push(...attemptLog.#sendings)
    const left = attemptLog.#underWay
    if (left !== undefined) this.#left = { at: left.at, record: { ...left.start, ...left.ending(aborted) } }
  }

  /** All attempts of a call that was made at `startedAt` and ends with `outcome`, and the time that they took of it. */
  told(startedAt: number, outcome: CallOutcome): Pick<CallRecord, 'attemptRecords' | 'wireMs' | 'connectMs'> {
    const left = this.#left
    const all =
      left === undefined ? this.#sendings : [...this.#sendings, { ...left, record: { ...left.record, outcome } }]
    return {
      attemptRecords: all.map(({ record }) => record),
      wireMs: all.reduce((sum, sending) => sum + wireMsSince(startedAt, sending), 0),
      // Of all others, the context has it.
      connectMs: left === undefined || left.record.endpoint !== undefined ? 0 : msSince(startedAt, left),
    }
  }
}

/** The time that an attempt was on the wire, without what was before that of the call. */
function wireMsSince(startedAt: number, { at, record: { endpoint, connectMs, durationMs } }: Sending): number {
  return endpoint === undefined ? 0 : Math.max(0, at + durationMs - Math.max(startedAt, at + connectMs))
}

function msSince(startedAt: number, { at, record: { durationMs } }: Sending): number {
  return Math.max(0, at + durationMs - Math.max(startedAt, at))
}

function batchOf(batch: BatchedCalls | undefined): AttemptBatch | undefined {
  if (batch === undefined) return undefined
  const calls = batch.calls.length
  return calls > 1 ? { method: batch.method, calls } : undefined
}

/** What is told of one call. */
export class CallTrace {
  readonly #telemetry: ClientTelemetry
  readonly #method: NamedMethod
  readonly #context: CallContext
  readonly #roleOf: RoleOf
  readonly #start: CallStart
  readonly #trail: Trail

  constructor(telemetry: ClientTelemetry, roleOf: RoleOf, method: NamedMethod, request: unknown, context: CallContext) {
    lastId += 1
    this.#telemetry = telemetry
    this.#roleOf = roleOf
    this.#method = method
    this.#context = context
    this.#start = {
      client: telemetry.client,
      callId: lastId,
      method: method.name,
      path: method.path,
      request: callRequest(method, request, telemetry),
    }
    this.#trail = new Trail(lastId)
    progressOf.trace(context).attemptLog = this.#trail
  }

  run<Response>(call: () => Promise<Response>): Promise<Response> {
    return begin(calls.traced, this.#start, call)
  }

  succeeded(response: unknown): void {
    this.#end(ok, responseKeys(this.#method, response))
  }

  failed(error: unknown): void {
    this.#end(outcomeOf(error), 0, error)
  }

  #end(outcome: CallOutcome, keys: number, error?: unknown): void {
    const record = Object.assign(this.#start, this.#ending(outcome, keys))
    settle(calls, record, error)
    if (record.durationMs >= this.#telemetry.slowCallMs) channels.slow.publish(record)
  }

  #ending(outcome: CallOutcome, keys: number): Omit<CallRecord, keyof CallStart> {
    const { startedAt, progress } = this.#context
    const { authMs, backoffMs, attempts, message, servedAs = 'linearizable' } = progress
    const endpoint = endpointOf(progress)
    const durationMs = performance.now() - startedAt
    const { wireMs, attemptRecords, ...left } = this.#trail.told(startedAt, outcome)
    const connectMs = progress.connectMs + left.connectMs
    return {
      durationMs,
      queueMs: Math.max(0, durationMs - authMs - connectMs - backoffMs - wireMs),
      authMs,
      connectMs,
      backoffMs,
      wireMs,
      attempts,
      attemptRecords,
      endpoint,
      role: endpoint === undefined ? undefined : this.#roleOf(endpoint),
      mode: (this.#method as unknown) === methods.KV.Range ? servedAs : undefined,
      requestBytes: message?.length ?? 0,
      responseBytes: responseBytesOf(progress),
      responseKeys: keys,
      outcome,
    }
  }
}

/** What is sent, and what is known of it. */
export interface TracedAttempt {
  readonly telemetry: ClientTelemetry
  readonly method: NamedMethod
  readonly request: unknown
  readonly context: CallContext
}

/** Makes one attempt and tells of it. */
export async function traceAttempt<Response>(traced: TracedAttempt, send: () => Promise<Response>): Promise<Response> {
  const { telemetry, method, request, context } = traced
  const trail = trailOf(context)
  const start: AttemptStart = {
    client: telemetry.client,
    callId: trail.callId,
    method: method.name,
    path: method.path,
    operations: operationsOf(method, request),
    attempt: context.progress.attempts + 1,
    reason: trail.why,
  }
  const attempt = new UnderWay(start, context.progress)
  const end = (outcome: CallOutcome, error?: unknown): void => {
    const record: AttemptRecord = Object.assign(start, attempt.ending(outcome))
    trail.ended(attempt, record)
    settle(attempts, record, error)
  }
  trail.began(attempt)
  try {
    const response = await begin(attempts.traced, start, send)
    end(ok)
    return response
  } catch (error) {
    end(outcomeOf(error), error)
    throw error
  }
}

/** That of a call which carries others is told as the first one's. */
function trailOf(context: CallContext): Trail {
  const { attemptLog, batch } = context.progress
  if (attemptLog instanceof Trail) return attemptLog
  const trails = (batch?.calls ?? []).map(({ progress }) => progress.attemptLog)
  const trail = new Trail(trails.find((each) => each instanceof Trail)?.callId)
  progressOf.trace(context).attemptLog = trail
  return trail
}
