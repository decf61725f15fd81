import { InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions, describe, optionalSignal } from '../core/validate.js'
import { serverStream } from '../layers/server-stream.js'
import type { StreamSource } from '../layers/stream-source.js'
import { methods } from '../wire/methods.js'
import { piecesOf, type SnapshotProgress, saveTo } from './snapshot.js'

/** Options of `snapshot()` and `saveSnapshot()`. */
export interface SnapshotOptions {
  readonly signal?: AbortSignal | undefined
  /** Called after each piece. */
  readonly onProgress?: ((progress: SnapshotProgress) => void) | undefined
}

const optionNames = ['signal', 'onProgress']

/** What keeps a cluster running. */
export class Maintenance {
  readonly #streams: StreamSource

  constructor(streams: StreamSource) {
    this.#streams = streams
  }

  /**
   * The database of one member, as `etcdctl snapshot restore` takes it, piece by piece. It needs the role root where
   * authentication is on. Throws if it breaks off or its digest is wrong, so that what was read is whole when it ends.
   */
  snapshot(options: SnapshotOptions = {}): AsyncIterable<Buffer> {
    assertKnownOptions('maintenance.snapshot()', options, optionNames)
    const signal = optionalSignal('signal', options.signal)
    return piecesOf(serverStream(this.#streams, methods.Maintenance.Snapshot, {}, { signal }), options.onProgress)
  }

  /** Writes a snapshot to a file, for its owner alone. The file is there when it is whole, not before. */
  async saveSnapshot(path: string, options: SnapshotOptions = {}): Promise<{ readonly bytes: number }> {
    if (typeof path !== 'string' || path === '') {
      throw new InvalidArgumentError(`\`path\` must be the path of a file, got ${describe(path)}`)
    }
    return { bytes: await saveTo(path, this.snapshot(options)) }
  }
}
