import { createHash } from 'node:crypto'
import { EtcdError } from '../core/errors.js'
import { putInPlace } from '../core/put-in-place.js'
import type { SnapshotResponse } from '../protobuf/generated/messages.js'

/** Progress of a snapshot. */
export interface SnapshotProgress {
  readonly receivedBytes: number
  readonly totalBytes: number
}

/** A member ends a snapshot with the SHA-256 digest of the preceding data. */
const digestBytes = 32

/**
 * The chunks of a snapshot including its digest, as `etcdctl snapshot save` writes them. Throws if the stream breaks.
 */
export async function* piecesOf(
  responses: AsyncIterable<SnapshotResponse>,
  onProgress: ((progress: SnapshotProgress) => void) | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  const check = new DigestCheck()
  for await (const { blob, remainingBytes } of responses) {
    check.take(blob)
    const receivedBytes = check.bytes
    onProgress?.({ receivedBytes, totalBytes: receivedBytes + remainingBytes })
    yield blob
  }
  check.end()
}

/** Writes a snapshot to a temporary file and renames it once it is complete. */
export async function saveTo(path: string, pieces: AsyncIterable<Buffer>): Promise<number> {
  let bytes = 0
  const counted = async function* (): AsyncGenerator<Buffer, void, undefined> {
    for await (const piece of pieces) {
      bytes += piece.length
      yield piece
    }
  }
  await putInPlace(path, counted())
  return bytes
}

/** Compares the last 32 bytes of a stream with the digest of the preceding data. */
class DigestCheck {
  bytes = 0
  readonly #hash = createHash('sha256')
  #tail: Buffer = Buffer.alloc(0)

  take(piece: Buffer): void {
    this.bytes += piece.length
    const all = Buffer.concat([this.#tail, piece])
    const end = Math.max(0, all.length - digestBytes)
    this.#hash.update(all.subarray(0, end))
    this.#tail = all.subarray(end)
  }

  end(): void {
    if (this.bytes > digestBytes && this.#hash.digest().equals(this.#tail)) return
    throw new EtcdError('the snapshot is damaged: its SHA-256 digest does not match the one from the member', {
      code: 'PROTOCOL_ERROR',
      effect: 'none',
      method: 'Maintenance.Snapshot',
      retryable: true,
    })
  }
}
