import { execFile } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** Runs `node` with a limit of open files: `$0` is the path of Node, `$1` the limit. */
const limited = 'ulimit -n "$1"; shift; exec "$0" "$@"'

/** How a script ended. */
export interface ChildResult {
  readonly code: number | string | undefined
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs an ES module in its own process, from the repository's root, and waits for its end; one that does not end
 * within 20 s is killed. Unhandled rejections end it with an error. `maxFiles` limits its open files and sockets.
 */
export function runScript(source: string, env: NodeJS.ProcessEnv = {}, maxFiles?: number): Promise<ChildResult> {
  const imports = ['--import', './test/support/typescript.js', '--import', './test/support/transport.ts']
  const flags = [...imports, '--unhandled-rejections=strict', '--input-type=module', '--eval', source]
  return new Promise((resolve) => {
    const options = { cwd: root, env: { ...process.env, ...env }, timeout: 20_000, killSignal: 'SIGKILL' } as const
    const [command, ...args] =
      maxFiles === undefined ? [process.execPath] : ['sh', '-c', limited, process.execPath, String(maxFiles)]
    execFile(command, [...args, ...flags], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? 'killed'), stdout, stderr })
    })
  })
}
