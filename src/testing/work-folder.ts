import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isOwnerGone, ownerText } from './owner.js'

const folderPrefix = 'etcdkit-cluster-'

/** Creates an empty folder for one cluster's data and logs, after removing those that dead processes left behind. */
export function createWorkFolder(): string {
  sweepWorkFolders()
  const folder = mkdtempSync(join(tmpdir(), folderPrefix))
  writeFileSync(join(folder, 'owner'), ownerText())
  return folder
}

/** Removes a cluster's folder with everything in it. */
export function removeWorkFolder(folder: string): void {
  // A killed member's files can still be appearing for a moment, which shows as ENOTEMPTY.
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 })
}

function sweepWorkFolders(): void {
  for (const name of readdirSync(tmpdir())) {
    if (name.startsWith(folderPrefix)) removeIfAbandoned(join(tmpdir(), name))
  }
}

function removeIfAbandoned(folder: string): void {
  try {
    if (isAbandoned(folder)) removeWorkFolder(folder)
  } catch {
    // The folder went away meanwhile or belongs to another user.
  }
}

function isAbandoned(folder: string): boolean {
  try {
    return isOwnerGone(readFileSync(join(folder, 'owner'), 'utf8'))
  } catch {
    // A folder is without its owner file for an instant after its creation.
    const ageMs = Date.now() - statSync(folder).mtimeMs
    return ageMs > 60_000
  }
}
