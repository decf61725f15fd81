import type * as PromClient from 'prom-client'
import { InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions, describe } from '../core/validate.js'
import type { ObservedClient } from '../telemetry/client-stats.js'
import { measure, measureRpcs, readings } from '../telemetry/measure.js'
import type { ExposeOptions } from './expose-options.js'
import { Exposition } from './exposition.js'
import { grpcMeasure } from './grpc-metrics.js'

export type { ObservedClient } from '../telemetry/client-stats.js'
export type { ExposeOptions } from './expose-options.js'

/** The shared metrics of each registry. */
const expositions = new WeakMap<PromClient.Registry, Map<string, Exposition>>()

/**
 * Exposes the metrics of a client in a registry, until the client is closed or the returned function is called, which also
 * removes its series. The clients in a registry share its metrics; the label `client` is the option `diagnostics.name`.
 *
 * @returns A function that removes the client from the registry.
 * @throws `InvalidArgumentError` if `etcd` is no client, or for wrong options.
 * @example
 * ```ts
 * import * as promClient from 'prom-client'
 *
 * const stop = expose(etcd, { promClient })
 * ```
 */
export function expose(etcd: ObservedClient, options: ExposeOptions): () => void {
  assertKnownOptions('expose()', options, ['promClient', 'registry', 'prefix'])
  if (typeof etcd?.stats !== 'function')
    throw new InvalidArgumentError(`expose() takes a client, got ${describe(etcd)}`)
  if (typeof options.promClient?.Counter !== 'function') {
    throw new InvalidArgumentError(
      `\`promClient\` must be the package prom-client, got ${describe(options.promClient)}`,
    )
  }
  assertRegistry(options)
  const { client } = etcd.stats()
  const exposition = expositionOf(options)
  const series = exposition.join(client.name, () => readings(etcd.stats()))
  const ends = [
    measure(client, (name, value, attributes) => series.take(name, value, attributes)),
    measureRpcs(client, grpcMeasure(series)),
    etcd.on('closed', () => stop()),
  ]
  const stop = (): void => {
    for (const end of ends) end()
    series.leave()
  }
  return stop
}

function expositionOf({ promClient, registry = promClient.register, prefix = '' }: ExposeOptions): Exposition {
  const byPrefix = expositions.get(registry) ?? new Map<string, Exposition>()
  expositions.set(registry, byPrefix)
  const exposition = byPrefix.get(prefix) ?? new Exposition(promClient, registry, prefix)
  byPrefix.set(prefix, exposition)
  return exposition
}

function assertRegistry({ registry, prefix = '' }: ExposeOptions): void {
  if (registry !== undefined && typeof Object(registry).registerMetric !== 'function') {
    throw new InvalidArgumentError(`\`registry\` must be a registry of prom-client, got ${describe(registry)}`)
  }
  if (typeof prefix === 'string' && /^([a-zA-Z_:][a-zA-Z0-9_:]*)?$/.test(prefix)) return
  throw new InvalidArgumentError(`\`prefix\` must be the start of a metric name, got ${describe(prefix)}`)
}
