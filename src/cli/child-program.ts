import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { CommandFailed } from './failure.js'

/** A program that runs in the terminal of this one, and the exit status that a shell would report for it. */
export interface ChildProgram {
  readonly child: ChildProcess
  readonly ended: Promise<number>
}

/** Starts a program with this process's standard streams. */
export function startProgram(
  [program = '', ...args]: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ChildProgram {
  const child = spawn(program, args, { stdio: 'inherit', env })
  return { child, ended: statusOf(child, program) }
}

/** Passes the signal that ends this process to a child. A terminal also sends SIGINT to the child directly. */
export function passOn(reason: unknown, child: ChildProcess, isTerminal: boolean): void {
  const name = /SIG(INT|TERM|HUP)$/.exec(reason instanceof Error ? reason.message : '')?.[0]
  if (name === 'SIGINT' && isTerminal) return
  child.kill(name === 'SIGINT' || name === 'SIGHUP' ? name : 'SIGTERM')
}

function statusOf(child: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new CommandFailed(`${program} cannot be started: ${error.message}`)))
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])))
  })
}
