import { type Method, methods } from '../protobuf/methods.js'
import { begin, type ChannelPair, channels, isObserved, outcomeOf, settle, tracing } from '../telemetry/channels.js'
import type { ClientTelemetry } from '../telemetry/client-telemetry.js'
import type { AttemptRecord, AttemptStart, CallOutcome, CallRecord, CallStart } from '../telemetry/records.js'
import { endpointOf, progressOf, responseBytesOf } from '../transport/call-progress.js'
import type { CallContext, UnaryHandler } from '../transport/transport.js'
import { AttemptInFlight, RecordedAttempts } from './attempt-log.js'
import { callRequest, operationsOf, responseKeys } from './call-request.js'

/** What a record has of a method. */
export interface NamedMethod {
  readonly name: string
  readonly path: string
}

/** The role of the member at an endpoint, if it is known. */
export type RoleOf = (endpoint: string) => CallRecord['role']

const calls: ChannelPair<CallStart> = { ended: channels.call, traced: tracing.call }
const attempts: ChannelPair<AttemptStart> = { ended: channels.attempt, traced: tracing.attempt }

const ok: CallOutcome = Object.freeze({ ok: true })
let lastId = 0

/** Whether anybody subscribes to calls. */
export function callsAreObserved(): boolean {
  return isObserved(calls) || channels.slow.hasSubscribers
}

/** Whether anybody subscribes to attempts, on their channel or as a part of calls. */
export function attemptsAreObserved(): boolean {
  return isObserved(attempts) || callsAreObserved()
}

/** Publishes the record of one call. */
export class CallTrace {
  readonly #telemetry: ClientTelemetry
  readonly #method: NamedMethod
  readonly #context: CallContext
  readonly #roleOf: RoleOf
  readonly #start: CallStart
  readonly #attempts: RecordedAttempts

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
    this.#attempts = new RecordedAttempts(lastId)
    progressOf.trace(context).attemptLog = this.#attempts
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
    const { wireMs, attemptRecords, ...left } = this.#attempts.summary(startedAt, outcome)
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
      mode: this.#method.name === methods.KV.Range.name ? servedAs : undefined,
      requestBytes: message?.length ?? 0,
      responseBytes: responseBytesOf(progress),
      responseKeys: keys,
      outcome,
    }
  }
}

/** One attempt of a call. */
export interface TracedAttempt<Request, Response> {
  readonly telemetry: ClientTelemetry
  readonly method: Method<Request, Response>
  readonly request: Request
  readonly context: CallContext
  readonly next: UnaryHandler<Request, Response>
}

/** Makes one attempt and publishes its record. */
export async function traceAttempt<Request, Response>(traced: TracedAttempt<Request, Response>): Promise<Response> {
  const { telemetry, method, request, context, next } = traced
  const log = attemptLogOf(context)
  const start: AttemptStart = {
    client: telemetry.client,
    callId: log.callId,
    method: method.name,
    path: method.path,
    operations: operationsOf(method, request),
    attempt: context.progress.attempts + 1,
    reason: log.reason,
  }
  const attempt = new AttemptInFlight(start, context.progress)
  const end = (outcome: CallOutcome, error?: unknown): void => {
    const record: AttemptRecord = Object.assign(start, attempt.ending(outcome))
    log.ended(attempt, record)
    settle(attempts, record, error)
  }
  log.began(attempt)
  try {
    const response = await begin(attempts.traced, start, () => next(method, request, context))
    end(ok)
    return response
  } catch (error) {
    end(outcomeOf(error), error)
    throw error
  }
}

/** The attempts of a batch have the id of its first observed call. */
function attemptLogOf(context: CallContext): RecordedAttempts {
  const { attemptLog, batch } = context.progress
  if (attemptLog instanceof RecordedAttempts) return attemptLog
  const logs = (batch?.calls ?? []).map(({ progress }) => progress.attemptLog)
  const log = new RecordedAttempts(logs.find((each) => each instanceof RecordedAttempts)?.callId)
  progressOf.trace(context).attemptLog = log
  return log
}
