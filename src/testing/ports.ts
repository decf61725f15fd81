import { randomInt } from 'node:crypto'
import { chmodSync, mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tryLockFile } from './lock-file.js'
import { isFileError } from './thrown.js'

// Below Linux's range for outgoing connections (32768 to 60999): a port from that range can be taken, as the near end
// of somebody's connection, while a member is down between a kill and a restart.
const firstPort = 10_000
const lastPort = 31_999

/** A port on 127.0.0.1, reserved against other clusters and processes until it is released. */
export interface ReservedPort {
  readonly port: number
  /** Gives the port up. */
  release(): void
}

/**
 * Reserves a free port on 127.0.0.1 with a lock file in the temporary folder. The port is not open yet.
 *
 * @returns the port; the caller releases it
 */
export async function reservePort(): Promise<ReservedPort> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    const reserved = await tryReservePort(randomInt(firstPort, lastPort + 1))
    if (reserved !== undefined) return reserved
  }
  throw new Error(`no free port between ${firstPort} and ${lastPort} found; locks are in ${portFolder()}`)
}

/** Reserves a certain port, unless another cluster has it or it is in use. */
export async function tryReservePort(port: number): Promise<ReservedPort | undefined> {
  const release = tryLockPort(join(portFolder(), String(port)))
  if (release === undefined) return undefined
  if (await canListen(port)) return { port, release }
  release()
  return undefined
}

function portFolder(): string {
  const folder = join(tmpdir(), 'etcdkit-ports')
  try {
    mkdirSync(folder)
    // Other users of the machine take locks here too.
    chmodSync(folder, 0o1777)
  } catch (error) {
    if (!isFileError(error, 'EEXIST')) throw error
  }
  return folder
}

function tryLockPort(path: string): (() => void) | undefined {
  try {
    return tryLockFile(path)
  } catch (error) {
    if (isFileError(error, 'EACCES') || isFileError(error, 'EPERM')) return undefined
    throw error
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}
