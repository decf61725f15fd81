import { execFile } from 'node:child_process'

/** Options of {@link runCommand}. */
export interface CommandOptions {
  readonly cwd?: string
  /** The whole environment of the command. @default process.env */
  readonly env?: NodeJS.ProcessEnv
  /** @default 60000 */
  readonly timeoutMs?: number
  /** Kills the command. */
  readonly signal?: AbortSignal | undefined
}

/** Runs a program to its end and returns its standard output; rejects with what it wrote when it fails. */
export function runCommand(program: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { cwd, env, timeoutMs = 60_000, signal } = options
  const settings = { cwd, env, signal, timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 64 << 20 } as const
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, settings, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new Error(`${program} ${args.join(' ')} failed: ${stderr.trim() || error.message}`, { cause: error }))
    })
    child.stdin?.end()
  })
}

/** Runs a program and returns its standard output, or undefined when it is missing or fails. */
export async function tryCommand(program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    return await runCommand(program, args)
  } catch {
    return undefined
  }
}
