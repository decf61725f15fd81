import type * as PromClient from 'prom-client'

/** How the metrics of a client are exposed. */
export interface ExposeOptions {
  /** The package prom-client: `import * as client from 'prom-client'`. */
  readonly promClient: Pick<typeof PromClient, 'Counter' | 'Gauge' | 'Histogram' | 'register'>
  /** Where the metrics are registered. @default prom-client's own */
  readonly registry?: PromClient.Registry | undefined
  /** What all names begin with, where a registry has metrics of these names already. @default '' */
  readonly prefix?: string | undefined
}
