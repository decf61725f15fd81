import { randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'

/**
 * Writes a file, for its owner alone, beside its place, and puts it there when it is whole and on the disk. The one beside
 * is nobody else's: of two writers of one path, each puts in place what it has written.
 */
export async function putInPlace(
  path: string,
  pieces: Iterable<string | Buffer> | AsyncIterable<string | Buffer>,
): Promise<void> {
  const part = `${path}.${randomUUID()}.part`
  const file = await open(part, 'wx', 0o600)
  try {
    try {
      for await (const piece of pieces) await file.appendFile(piece)
      // After a power failure, the new name must not stand for an empty file.
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(part, path)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}
