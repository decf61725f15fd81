import { begin, type ChannelPair, channels, isObserved, outcomeOf, settle, tracing } from '../telemetry/channels.js'
import type { ClientTelemetry } from '../telemetry/client-telemetry.js'
import type { AttemptRecord, AttemptStart, CallOutcome, CallRecord, CallStart } from '../telemetry/records.js'
import type { CallContext } from '../transport/transport.js'
import { methods } from '../wire/methods.js'
import { callRequest, responseKeys } from './call-request.js'

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
let lastId = 0

/** Whether anybody wants to know of calls. */
export function callsAreObserved(): boolean {
  return isObserved(calls) || channels.slow.hasSubscribers
}

/** Whether anybody wants to know of attempts, be it as a part of their calls. */
export function attemptsAreObserved(): boolean {
  return isObserved(attempts) || callsAreObserved()
}

/** The attempts of one call, so far. */
class Trail {
  readonly callId: number | undefined
  readonly tries: AttemptRecord[] = []

  constructor(callId: number | undefined) {
    this.callId = callId
  }

  /** Why the next attempt is made. */
  get why(): AttemptStart['why'] {
    const outcome = this.tries.at(-1)?.outcome
    if (outcome === undefined) return 'first'
    if (outcome.ok) return 'behind'
    return outcome.aborted ? 'aborted' : outcome.code
  }

  get wireMs(): number {
    const sent = this.tries.filter(({ endpoint }) => endpoint !== undefined)
    return sent.reduce((sum, { durationMs, connectMs }) => sum + durationMs - connectMs, 0)
  }
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
    context.trace = this.#trail
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
    const { startedAt, authMs, connectMs, backoffMs, attempts, endpoint, encoded, responseBytes, route } = this.#context
    const durationMs = performance.now() - startedAt
    const { wireMs, tries } = this.#trail
    const mode = route.serializable ? 'serializable' : 'linearizable'
    return {
      durationMs,
      queueMs: Math.max(0, durationMs - authMs - connectMs - backoffMs - wireMs),
      authMs,
      connectMs,
      backoffMs,
      wireMs,
      attempts,
      tries,
      endpoint,
      role: endpoint === undefined ? undefined : this.#roleOf(endpoint),
      mode: (this.#method as unknown) === methods.KV.Range ? mode : undefined,
      requestBytes: encoded?.message.length ?? 0,
      responseBytes,
      responseKeys: keys,
      outcome,
    }
  }
}

/** Makes one attempt and tells of it. */
export async function traceAttempt<Response>(
  telemetry: ClientTelemetry,
  method: NamedMethod,
  context: CallContext,
  send: () => Promise<Response>,
): Promise<Response> {
  const trail = trailOf(context)
  const before = { at: performance.now(), attempts: context.attempts, connectMs: context.connectMs }
  const start: AttemptStart = {
    client: telemetry.client,
    callId: trail.callId,
    method: method.name,
    path: method.path,
    attempt: before.attempts + 1,
    why: trail.why,
  }
  const end = (outcome: CallOutcome, responseBytes: number, error?: unknown): void => {
    const record: AttemptRecord = Object.assign(start, {
      durationMs: performance.now() - before.at,
      connectMs: context.connectMs - before.connectMs,
      endpoint: context.attempts === before.attempts ? undefined : context.endpoint,
      requestBytes: context.encoded?.message.length ?? 0,
      responseBytes,
      outcome,
    })
    trail.tries.push(record)
    settle(attempts, record, error)
  }
  try {
    const response = await begin(attempts.traced, start, send)
    end(ok, context.responseBytes)
    return response
  } catch (error) {
    end(outcomeOf(error), 0, error)
    throw error
  }
}

function trailOf(context: CallContext): Trail {
  if (context.trace instanceof Trail) return context.trace
  const trail = new Trail(undefined)
  context.trace = trail
  return trail
}
