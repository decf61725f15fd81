import { assertKnownOptions, optionalBoolean } from '../../core/validate.js'

/** Which calls are made together. */
export interface BatchingOptions {
  /**
   * Reads of single keys that are made in the same tick of the event loop go out as one transaction of reads; one that is
   * alone goes out as it is. Each keeps its own answer, error, signal and deadline. Off by itself for members that are not
   * up to it: etcd 3.5.0 to 3.5.6, and learners.
   * @default true
   */
  readonly reads?: boolean | undefined
  /**
   * All puts and deletions of single keys go out in groups, as those made through `batcher()` do: see there for what that
   * means.
   * @default false
   */
  readonly writes?: boolean | undefined
}

/** Options with nothing left open. */
export interface ResolvedBatching {
  readonly reads: boolean
  readonly writes: boolean
}

/** Checks the option `batching` and fills in the defaults. */
export function resolveBatching(options: BatchingOptions = {}): ResolvedBatching {
  assertKnownOptions('batching', options, ['reads', 'writes'])
  return {
    reads: optionalBoolean('batching.reads', options.reads) ?? true,
    writes: optionalBoolean('batching.writes', options.writes) ?? false,
  }
}
