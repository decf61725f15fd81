import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const source = join(import.meta.dirname, 'go-clientv3')

/** The program that makes single calls with Go's own client; `undefined` where there is no Go toolchain to build it with. */
export function goClientProgram(): string | undefined {
  if (spawnSync('go', ['version']).status !== 0) return undefined
  const folder = join(tmpdir(), 'etcdkit-bench-go-clientv3')
  mkdirSync(folder, { recursive: true })
  const program = join(folder, 'go-clientv3')
  // Go's own cache makes this quick where nothing has changed.
  execFileSync('go', ['build', '-o', program, '.'], { cwd: source, stdio: ['ignore', 'ignore', 'inherit'] })
  return program
}
