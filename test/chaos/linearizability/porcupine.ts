import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RecordedCall } from './history.js'

const source = join(import.meta.dirname, '../porcupine')

/** Porcupine's verdict on each history; `undefined` where there is no Go toolchain to build it with. */
export function porcupineVerdicts(histories: readonly (readonly RecordedCall[])[]): readonly string[] | undefined {
  if (spawnSync('go', ['version']).status !== 0) return undefined
  const folder = join(tmpdir(), 'etcdkit-porcupine')
  mkdirSync(folder, { recursive: true })
  const program = join(folder, 'porcupine')
  // Go's own cache makes this quick where nothing has changed.
  execFileSync('go', ['build', '-o', program, '.'], { cwd: source, stdio: ['ignore', 'ignore', 'inherit'] })
  const input = histories.map((history) => JSON.stringify(history)).join('\n')
  return execFileSync(program, { input, maxBuffer: 2 ** 26 })
    .toString()
    .trim()
    .split('\n')
}
