import { execFile } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** How a script ended. */
export interface ChildResult {
  readonly code: number | string | undefined
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs an ES module in its own process, from the repository's root, and waits for its end; one that does not end
 * within 20 s is killed. Unhandled rejections end it with an error.
 */
export function runScript(source: string, env: NodeJS.ProcessEnv = {}): Promise<ChildResult> {
  const imports = ['--import', './test/support/typescript.js', '--import', './test/support/transport.ts']
  const flags = [...imports, '--unhandled-rejections=strict', '--input-type=module', '--eval', source]
  return new Promise((resolve) => {
    const options = { cwd: root, env: { ...process.env, ...env }, timeout: 20_000, killSignal: 'SIGKILL' } as const
    execFile(process.execPath, flags, options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? 'killed'), stdout, stderr })
    })
  })
}
