import { assertKnownOptions, optionalBoolean } from '../../core/validate.js'

/** Which calls are batched. */
export interface BatchingOptions {
  /**
   * Sends the reads of single keys that are made in the same tick of the event loop as one transaction; a single read is sent
   * as it is. Each call keeps its response, error, signal and deadline. Never used with etcd 3.5.0 to 3.5.6 and learners, which
   * do not support it.
   * @default true
   */
  readonly reads?: boolean | undefined
  /**
   * Sends all puts and deletions of single keys in groups, as `batcher()` does.
   * @default false
   */
  readonly writes?: boolean | undefined
}

/** Options with all defaults filled in. */
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
