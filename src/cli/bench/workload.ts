import type { Samples } from './samples.js'

/** A benchmark that is ready to be run. */
export interface Workload {
  /** As it is called on the command line. */
  readonly name: string
  /** How many samples it gives. */
  readonly total: number
  run(samples: Samples, signal: AbortSignal): Promise<void>
  /** Takes back what it has done, also when the process was asked to end: it heeds no signal. */
  readonly cleanUp?: (() => Promise<void>) | undefined
}
