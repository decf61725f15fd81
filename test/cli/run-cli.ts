import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { main } from '../../src/cli/main.js'

/** How a command ended. */
export interface CliResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** What a command is run with. */
export interface CliOptions {
  readonly endpoints?: readonly string[]
  readonly input?: string | Buffer
  readonly env?: Readonly<Record<string, string>>
  readonly isTTY?: boolean
}

/** Runs a command line in this process, as the program does. */
export async function cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { endpoints, input, env, isTTY = false } = options
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()].map((stream) =>
    Object.assign(stream, { isTTY }),
  )
  if (stdin === undefined || stdout === undefined || stderr === undefined) throw new Error('there are three streams')
  const stdinWithTTY = Object.assign(stdin, { isTTY: input === undefined })
  stdin.end(input ?? '')
  const texts = Promise.all([textOf(stdout), textOf(stderr)])
  const status = await main(args, {
    env: { ...(endpoints === undefined ? {} : { ETCDCTL_ENDPOINTS: endpoints.join(',') }), ...env },
    stdin: stdinWithTTY,
    stdout,
    stderr,
    signal: new AbortController().signal,
  })
  stdout.end()
  stderr.end()
  const [out, err] = await texts
  return { status, stdout: out, stderr: err }
}

/** Lines of JSON as values. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

async function textOf(stream: PassThrough): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}

const root = join(import.meta.dirname, '../..')

/** The program in its own process. */
export class CliProcess {
  readonly child: ChildProcess
  stdout = ''
  stderr = ''
  readonly #ended: Promise<unknown[]>

  constructor(args: readonly string[], { endpoints, env }: CliOptions, stdout: 'pipe' | number = 'pipe') {
    const variables = { ...process.env, ...env, ETCDCTL_ENDPOINTS: endpoints?.join(',') }
    const bin = ['--import', './test/support/typescript.js', 'src/cli/bin.ts', ...args]
    this.child = spawn(process.execPath, bin, { cwd: root, env: variables, stdio: ['pipe', stdout, 'pipe'] })
    this.child.stdout?.on('data', (piece) => {
      this.stdout += piece
    })
    this.child.stderr?.on('data', (piece) => {
      this.stderr += piece
    })
    this.#ended = once(this.child, 'close')
  }

  /** Resolves to the exit status, or to the signal that ended it; ends it by force after 20 s. */
  async end(): Promise<number | string> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 20_000)
    const [code, signal] = await this.#ended
    clearTimeout(timer)
    return Number.isInteger(code) ? Number(code) : String(signal)
  }
}
