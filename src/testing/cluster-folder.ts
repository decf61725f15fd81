import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { KeptCluster } from './kept-cluster.js'
import { tryLockFile } from './lock-file.js'
import { createWorkFolder, removeWorkFolder } from './work-folder.js'

/** The folder of a cluster: temporary, or kept for the next cluster. */
export interface ClusterFolder {
  readonly path: string
  readonly isKept: boolean
  /** The cluster that was kept here before. */
  readonly previous: KeptCluster | undefined
  /** Notes the present state of the cluster for the next one; does nothing in a temporary folder. */
  save(cluster: KeptCluster): void
  /** Leaves the folder to the next cluster, or deletes a temporary one. */
  leave(): void
}

/** Opens the folder that keeps a cluster, or creates a temporary one. */
export function openClusterFolder(dataDir: string | undefined): ClusterFolder {
  return dataDir === undefined ? temporaryFolder() : keptFolder(resolve(dataDir))
}

function temporaryFolder(): ClusterFolder {
  const path = createWorkFolder()
  return { path, isKept: false, previous: undefined, save() {}, leave: () => removeWorkFolder(path) }
}

function keptFolder(path: string): ClusterFolder {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  const file = join(path, 'cluster.json')
  if (!existsSync(file) && readdirSync(path).length > 0) {
    throw new Error(`${path} is not empty and contains no cluster: choose another data directory`)
  }
  const leave = tryLockFile(join(path, 'lock'))
  if (leave === undefined) throw new Error(`${path} is in use by another cluster`)
  return {
    path,
    isKept: true,
    previous: existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined,
    save: (cluster) => writeFileSync(file, `${JSON.stringify(cluster, undefined, 2)}\n`),
    leave,
  }
}
