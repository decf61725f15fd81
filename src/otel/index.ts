import { types } from 'node:util'
import { type Attributes, type MeterProvider, metrics, type TracerProvider, trace } from '@opentelemetry/api'
import { InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions, describe, optionalBoolean } from '../core/validate.js'
import type { ObservedClient } from '../telemetry/client-stats.js'
import { meterClient } from './meter.js'
import { SpanMaker } from './spans.js'

export type { ObservedClient } from '../telemetry/client-stats.js'

/** Options of `instrument()`. */
export interface InstrumentOptions {
  /** @default the global one */
  readonly tracerProvider?: TracerProvider | undefined
  /** @default the global one */
  readonly meterProvider?: MeterProvider | undefined
  /** Whether each attempt has a span, as a child of its call's span. @default true */
  readonly attempts?: boolean | undefined
  /** Attributes of every span and measurement of this client. */
  readonly attributes?: Attributes | undefined
}

const scope = 'etcdkit'

/**
 * Instruments a client with spans and metrics, until the client is closed or the returned function is called. The spans are
 * children of the span that is active when a call is made.
 *
 * @returns A function that ends the instrumentation.
 * @throws `InvalidArgumentError` if `etcd` is no client, or for wrong options.
 * @example
 * ```ts
 * const stop = instrument(etcd)
 * ```
 */
export function instrument(etcd: ObservedClient, options: InstrumentOptions = {}): () => void {
  assertKnownOptions('instrument()', options, ['tracerProvider', 'meterProvider', 'attempts', 'attributes'])
  if (typeof etcd?.stats !== 'function') {
    throw new InvalidArgumentError(`instrument() takes a client, got ${describe(etcd)}`)
  }
  const { tracerProvider, meterProvider, attributes = {} } = options
  assertProvider('tracerProvider', tracerProvider, 'getTracer')
  assertProvider('meterProvider', meterProvider, 'getMeter')
  if (typeof attributes !== 'object' || attributes === null || types.isPromise(attributes)) {
    throw new InvalidArgumentError(`\`attributes\` must be an object, got ${describe(attributes)}`)
  }
  const attempts = optionalBoolean('attempts', options.attempts) ?? true
  const tracer = tracerProvider?.getTracer(scope) ?? trace.getTracer(scope)
  const meter = meterProvider?.getMeter(scope) ?? metrics.getMeter(scope)
  const spans = new SpanMaker({ client: etcd.stats().client, tracer, attempts, attributes })
  const endMetrics = meterClient(etcd, meter, attributes)
  const stop = (): void => {
    offClosed()
    spans.close()
    endMetrics()
  }
  const offClosed = etcd.on('closed', stop)
  return stop
}

function assertProvider(name: string, provider: unknown, method: string): void {
  if (provider === undefined || typeof Object(provider)[method] === 'function') return
  throw new InvalidArgumentError(`\`${name}\` must have a function ${method}(), got ${describe(provider)}`)
}
