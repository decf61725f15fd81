import { randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'

/**
 * Writes a file atomically, readable by its owner only: the content goes to a temporary file, which is renamed when it is
 * complete and synced. Concurrent writers of one path use different temporary files.
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
      // After a power failure, the new name must not refer to an empty file.
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
