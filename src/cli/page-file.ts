import { constants } from 'node:fs'
import { access, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Flags, FlagValues } from './command.js'
import { CommandFailed } from './failure.js'
import { UsageError } from './usage-error.js'

/** Rejects paths of files that a command writes and that cannot be written, before its work begins. */
export async function checkOutputPaths(flags: Flags, values: FlagValues<Flags>): Promise<void> {
  for (const [name, { isOutput }] of Object.entries(flags)) {
    const path = values[name]
    if (isOutput !== true || typeof path !== 'string') continue
    await checkWritable(path).catch((error: unknown) => {
      throw new UsageError(`--${name} cannot be written: ${reasonOf(error)}`)
    })
  }
}

async function checkWritable(path: string): Promise<void> {
  if (path === '') throw new Error('the path is empty')
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory() === true) throw new Error(`${path} is a folder`)
  await access(found === undefined ? dirname(path) : path, constants.W_OK)
}

/** Rejects the path of a file that is put in place as a whole, if something else than a file is there, such as a device. */
export async function checkReplaceable(operand: string, path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isFile() === false) throw new UsageError(`${operand} must be a regular file: ${path} is something else`)
}

/** Writes the page after the result has been printed. */
export async function writePage(path: string | undefined, html: () => string): Promise<void> {
  if (path === undefined) return
  try {
    await writeFile(path, html())
  } catch (error) {
    throw new CommandFailed(`--html cannot be written: ${reasonOf(error)}`)
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
