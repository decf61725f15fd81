import { randomUUID } from 'node:crypto'
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isOwnerGone, ownerText } from './owner.js'
import { isFileError } from './thrown.js'

/**
 * Takes a lock file if nobody holds it, and takes over one whose process is gone.
 * Returns the function that releases it, or undefined while a live process (this one included) holds it.
 */
export function tryLockFile(path: string): (() => void) | undefined {
  if (createLock(path) || (removeStaleLock(path) && createLock(path))) return () => rmSync(path, { force: true })
  return undefined
}

/** Waits until the lock file is ours and returns the function that releases it. */
export async function lockFile(path: string, timeoutMs: number, signal?: AbortSignal): Promise<() => void> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const release = tryLockFile(path)
    if (release !== undefined) return release
    if (performance.now() > deadline) throw new Error(`${path} is still locked after ${timeoutMs} ms`)
    await sleep(50, undefined, { signal })
  }
}

function createLock(path: string): boolean {
  try {
    writeFileSync(path, ownerText(), { flag: 'wx' })
    return true
  } catch (error) {
    if (isFileError(error, 'EEXIST')) return false
    throw error
  }
}

/**
 * Moves a lock of a dead process out of the way. Two processes may try at once: the rename lets one win, and a loser
 * that caught the winner's new lock puts it back.
 */
function removeStaleLock(path: string): boolean {
  const stale = readText(path)
  if (stale === undefined || !isOwnerGone(stale)) return false
  const aside = `${path}.${randomUUID()}`
  try {
    renameSync(path, aside)
    if (readText(aside) === stale) return true
    linkSync(aside, path)
  } catch {
    // Somebody else was quicker, or the lock belongs to another user.
  } finally {
    rmSync(aside, { force: true })
  }
  return false
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
