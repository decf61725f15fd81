import {
  type Attributes,
  context,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { tracing } from '../telemetry/channels.js'
import { countsKeys } from '../telemetry/measure.js'
import type { OperationChannel } from '../telemetry/operation-channel.js'
import type {
  AttemptRecord,
  AttemptStart,
  AuthenticateRecord,
  AuthenticateStart,
  CallOutcome,
  CallRecord,
  CallStart,
  ClientIdentity,
  LockStart,
  LockWaitRecord,
  WatchCreateRecord,
  WatchStart,
} from '../telemetry/records.js'
import { errorType, grpcCode, operationName } from '../telemetry/rpc-names.js'
import { serverAttributes } from './attributes.js'

/** Options of a span maker. */
export interface SpanMakerOptions {
  readonly client: ClientIdentity
  readonly tracer: Tracer
  /** Whether attempts have spans. */
  readonly attempts: boolean
  readonly attributes: Attributes
}

/** How the spans of one kind of operation are made. */
interface SpanKindOf<Start, Ended> {
  name(start: Start): string
  attributes(start: Start): Attributes
  ending(record: Ended): Attributes
  /** The parent span, if it is not the active one. */
  parent?(start: Start): Span | undefined
  /** Records of attempts that belong to the same span. */
  links?(record: Ended): readonly object[]
}

interface Ended {
  readonly client: ClientIdentity
  readonly outcome: CallOutcome
}

/** Makes a span of each operation of a client, following OpenTelemetry's conventions for databases and RPCs. */
export class SpanMaker {
  readonly #options: SpanMakerOptions
  /** The spans of operations in flight, by their records. */
  readonly #spans = new Map<object, Span>()
  /** The spans of attempts that have ended, by their records. */
  readonly #attempts = new WeakMap<object, SpanContext>()
  /** The spans of calls in flight, by their ids. */
  readonly #calls = new Map<number, Span>()
  readonly #ends: (() => void)[] = []

  constructor(options: SpanMakerOptions) {
    this.#options = options
    this.#follow<CallStart, CallRecord>(tracing.call, {
      name: ({ client, method }) => this.#name(operationName(method), client),
      attributes: (start) => callAttributes(start),
      ending: callEnding,
      links: ({ attemptRecords, callId }) => attemptRecords.filter((each) => each.callId !== callId),
    })
    if (options.attempts) this.#followAttempts()
    this.#follow<AuthenticateStart, AuthenticateRecord>(tracing.authenticate, {
      name: ({ client }) => this.#name('auth.authenticate', client),
      attributes: ({ client, reason }) => ({
        ...operationAttributes('auth.authenticate', client),
        'etcd.reason': reason,
      }),
      ending: ({ endpoint }) => serverAttributes(endpoint),
    })
    this.#follow<LockStart, LockWaitRecord>(tracing.lock, {
      name: ({ client }) => this.#name('lock.acquire', client),
      attributes: ({ client, kind, name }) => ({
        ...operationAttributes('lock.acquire', client),
        'etcd.lock.kind': kind,
        'etcd.lock.name': name,
      }),
      ending: ({ fence }) => ({ 'etcd.lock.fence': fence }),
    })
    this.#follow<WatchStart, WatchCreateRecord>(tracing.watch, {
      name: ({ client }) => this.#name('watch.create', client),
      attributes: ({ client, range, keyText }) => ({
        ...operationAttributes('watch.create', client),
        'etcd.range': range,
        'etcd.key': keyText,
      }),
      ending: ({ endpoint }) => serverAttributes(endpoint),
    })
  }

  /** Stops making spans, and ends the open ones. */
  close(): void {
    for (const end of this.#ends) end()
    for (const span of this.#spans.values()) span.end()
    this.#spans.clear()
    this.#calls.clear()
  }

  #followAttempts(): void {
    this.#follow<AttemptStart, AttemptRecord>(tracing.attempt, {
      name: ({ path }) => path.slice(1),
      attributes: ({ path, attempt, reason, operations }) => ({
        'rpc.system.name': 'grpc',
        'rpc.method': path.slice(1),
        'db.operation.batch.size': operations > 1 ? operations : undefined,
        'etcd.attempt': attempt,
        'etcd.reason': reason,
      }),
      ending: ({ endpoint, outcome }) => ({ 'rpc.status_code': grpcCode(outcome), ...serverAttributes(endpoint) }),
      parent: ({ callId }) => (callId === undefined ? undefined : this.#calls.get(callId)),
    })
  }

  #follow<Start extends { readonly client: ClientIdentity }, Record extends Ended>(
    channel: OperationChannel<Start>,
    kind: SpanKindOf<Start, Record>,
  ): void {
    const onStart = (message: unknown): void => {
      // Each channel has messages of one type.
      const start = message as Start
      if (start.client === this.#options.client) this.#start(start, kind)
    }
    const onEnd = (message: unknown): void => this.#end(message as Record, kind)
    channel.start.subscribe(onStart)
    channel.asyncEnd.subscribe(onEnd)
    this.#ends.push(() => {
      channel.start.unsubscribe(onStart)
      channel.asyncEnd.unsubscribe(onEnd)
    })
  }

  #start<Start extends object>(start: Start, kind: SpanKindOf<Start, never>): void {
    const above = kind.parent?.(start)
    const active = context.active()
    const { tracer, attributes } = this.#options
    const span = tracer.startSpan(
      kind.name(start),
      { kind: SpanKind.CLIENT, attributes: { ...attributes, ...kind.attributes(start) } },
      above === undefined ? active : trace.setSpan(active, above),
    )
    this.#spans.set(start, span)
    if ('request' in start && 'callId' in start) this.#calls.set(Number(start.callId), span)
  }

  #end<Record extends Ended>(record: Record, kind: SpanKindOf<never, Record>): void {
    const span = this.#spans.get(record)
    if (span === undefined) return
    this.#spans.delete(record)
    if ('request' in record && 'callId' in record) this.#calls.delete(Number(record.callId))
    if ('attempt' in record) this.#attempts.set(record, span.spanContext())
    // Only the first call of a batch has its attempts as children.
    for (const attempt of kind.links?.(record) ?? []) {
      const linked = this.#attempts.get(attempt)
      if (linked !== undefined) span.addLink({ context: linked })
    }
    span.setAttributes(kind.ending(record))
    const { outcome } = record
    const type = errorType(outcome)
    if (type !== undefined) span.setAttribute('error.type', type)
    // A call that its caller has aborted is no error.
    if (!outcome.ok && !outcome.aborted) span.setStatus({ code: SpanStatusCode.ERROR, message: outcome.error.message })
    span.end()
  }

  #name(operation: string, { namespace }: ClientIdentity): string {
    return namespace === undefined ? operation : `${operation} ${namespace}`
  }
}

function operationAttributes(operation: string, { name, namespace }: ClientIdentity): Attributes {
  return {
    'db.system.name': 'etcd',
    'db.operation.name': operation,
    'db.namespace': namespace,
    'etcd.client': name,
  }
}

function callAttributes({ client, method, request }: CallStart): Attributes {
  const { operations, range, keyText } = request
  return {
    ...operationAttributes(operationName(method), client),
    // A single operation is no batch.
    'db.operation.batch.size': operations > 1 ? operations : undefined,
    'etcd.range': range,
    'etcd.key': keyText,
  }
}

function callEnding(record: CallRecord): Attributes {
  const { outcome, endpoint, role, mode, attempts, responseKeys, method } = record
  return {
    ...serverAttributes(endpoint),
    'db.response.status_code': outcome.ok || outcome.aborted ? undefined : outcome.code,
    'db.response.returned_rows': outcome.ok && countsKeys(method) ? responseKeys : undefined,
    'etcd.read.mode': mode,
    'etcd.member.role': role,
    'etcd.attempts': attempts,
    'etcd.time.queue_ms': record.queueMs,
    'etcd.time.auth_ms': record.authMs,
    'etcd.time.connect_ms': record.connectMs,
    'etcd.time.backoff_ms': record.backoffMs,
    'etcd.time.wire_ms': record.wireMs,
  }
}
