import type * as PromClient from 'prom-client'

/** Options of `expose()`. */
export interface ExposeOptions {
  /** The package prom-client: `import * as client from 'prom-client'`. */
  readonly promClient: Pick<typeof PromClient, 'Counter' | 'Gauge' | 'Histogram' | 'register'>
  /** Where the metrics are registered. @default prom-client's global registry */
  readonly registry?: PromClient.Registry | undefined
  /** A prefix for all names, for a registry that already has metrics of these names. @default '' */
  readonly prefix?: string | undefined
}
