import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { isFileError } from './thrown.js'

/** Text that names this process: host, pid and, on Linux, when the process began. Written into lock files and folders. */
export function ownerText(): string {
  return JSON.stringify({ host: hostname(), pid: process.pid, startedAt: processStartTicks(process.pid) })
}

/**
 * Whether the process named by an owner text is certainly gone. A text of another host (a container with the same
 * temporary folder) or an unreadable one does not count as gone.
 */
export function isOwnerGone(text: string): boolean {
  const owner = parseOwner(text)
  if (owner === undefined || owner.host !== hostname()) return false
  if (!isProcessAlive(owner.pid)) return true
  // The pid may have been given to another process since.
  return owner.startedAt !== processStartTicks(owner.pid)
}

interface Owner {
  readonly host: string
  readonly pid: number
  readonly startedAt: string
}

function parseOwner(text: string): Owner | undefined {
  try {
    const { host, pid, startedAt } = JSON.parse(text) as Partial<Owner>
    if (typeof host !== 'string' || typeof pid !== 'number' || typeof startedAt !== 'string') return undefined
    return { host, pid, startedAt }
  } catch {
    return undefined
  }
}

function isProcessAlive(pid: number): boolean {
  // A zombie has ended and waits for a parent that may never ask.
  if (processState(pid) === 'Z') return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM means that the process exists and belongs to another user.
    return isFileError(error, 'EPERM')
  }
}

/** Clock ticks between boot and the start of the process, or '' where there is no /proc. */
function processStartTicks(pid: number): string {
  return processStat(pid)[19] ?? ''
}

/**
 * The one-letter state of a process ('T' is stopped, 'Z' is a zombie), or undefined where there is no /proc or no such
 * process.
 */
export function processState(pid: number): string | undefined {
  return processStat(pid)[0]
}

/** The fields of /proc/PID/stat after the command name, which may itself hold spaces and parentheses. */
function processStat(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}
