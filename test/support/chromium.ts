import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { runCommand } from '../../src/testing/run-command.js'
import { debianEnv, debianRoot } from './debian-root.js'

/** A Chromium that can be started. */
export interface Chromium {
  readonly program: string
  readonly env: NodeJS.ProcessEnv
}

const names = ['chromium', 'chromium-headless-shell', 'google-chrome', 'chrome']

/**
 * The Chromium that `ETCDKIT_BROWSER` names, or one on the PATH, or Debian's, which is fetched into the user's cache folder
 * (100 MB). Returns why there is none as a text.
 */
export async function findChromium(): Promise<Chromium | string> {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const installed = folders
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((path) => existsSync(path))
  const program = process.env.ETCDKIT_BROWSER ?? installed
  if (program !== undefined) return { program, env: process.env }
  try {
    const fromDebian = fromRoot(await debianRoot('chromium', ['chromium-headless-shell']))
    await runCommand(fromDebian.program, ['--version'], { env: fromDebian.env })
    return fromDebian
  } catch (error) {
    return `no Chromium, set ETCDKIT_BROWSER: ${error instanceof Error ? error.message : String(error)}`
  }
}

function fromRoot(root: string): Chromium {
  return { program: join(root, 'usr/lib/chromium/chromium-headless-shell'), env: debianEnv(root, ['pulseaudio']) }
}
