import { type EtcdError, isEtcdError } from '../index.js'
import { hints } from './hints.js'
import type { Format } from './output.js'
import { ReaderGone } from './reader-gone.js'
import type { Style } from './style.js'
import { UsageError } from './usage-error.js'

/** Exit status of a failed command. */
export const failed = 1
/** Exit status of an invalid command line. */
export const wrongUsage = 2
/** Exit status of a command that ran and found a problem, for example an unhealthy member. */
export const foundProblems = 3

/** The process received a signal to end. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  /** The status that a shell reports for a process ended by the signal. */
  readonly status: number

  constructor(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP') {
    super(`ended by ${signal}`)
    this.status = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }[signal]
  }
}

/** A failure with its own message. The hint is that of its cause. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
  /** The exit status. */
  readonly status: number

  constructor(
    message: string,
    { status = failed, cause }: { readonly status?: number; readonly cause?: unknown } = {},
  ) {
    super(message, { cause })
    this.status = status
  }
}

/** How failures are printed. */
export interface FailureForm {
  readonly format: Format
  readonly style: Style
  /** The names on the command line of the library's options. */
  readonly names: ReadonlyMap<string, string>
}

/** The exit status and the message, if any, for an error. */
export function failureOf(
  error: unknown,
  { format, style, names }: FailureForm,
): { readonly status: number; readonly text: string | undefined } {
  if (error instanceof Interrupted) return { status: error.status, text: undefined }
  if (error instanceof ReaderGone) return { status: 0, text: undefined }
  const message = inCommandLineNames(messageOf(error), names)
  return {
    status: statusOf(error),
    text: format === 'json' ? JSON.stringify({ error: fieldsOf(error, message) }) : textOf(error, message, style),
  }
}

/** Arguments rejected by the library come from the command line. */
function statusOf(error: unknown): number {
  if (error instanceof CommandFailed) return error.status
  return error instanceof UsageError || isEtcdError(error, 'INVALID_ARGUMENT') ? wrongUsage : failed
}

function textOf(error: unknown, message: string, style: Style): string {
  const lines = [`${style('red', 'error:')} ${message}`]
  if (isServerOrWire(error) && error.effect === 'unknown') {
    lines.push(`${style('yellow', 'effect:')} unknown, the write may have been applied: check before repeating it`)
  }
  const hint = hintOf(error)
  if (hint !== undefined) lines.push(`${style('cyan', 'hint:')} ${hint}`)
  return lines.join('\n')
}

function fieldsOf(error: unknown, message: string): Record<string, unknown> {
  const hint = hintOf(error)
  if (!isServerOrWire(error)) return { message, hint }
  const { code, effect, retryable, endpoint, method, attempts, rawMessage } = error
  return { code, message: rawMessage, effect, retryable, endpoint, method, attempts, hint }
}

/** A message about options of the library, in the names of the command line. */
function inCommandLineNames(message: string, names: ReadonlyMap<string, string>): string {
  return message.replace(/`([\w.]+)`/g, (quoted, name: string) => names.get(name) ?? (isArgument(name) ? name : quoted))
}

/** Arguments have the names of the usage, such as `KEY`. */
function isArgument(name: string): boolean {
  return name === name.toUpperCase()
}

/** An error in one line. */
export function messageOf(error: unknown): string {
  if (isServerOrWire(error)) {
    const place = error.endpoint === undefined ? '' : ` at ${error.endpoint}`
    return `${error.rawMessage} [${error.code}${place}]`
  }
  return error instanceof Error ? error.message : String(error)
}

function hintOf(error: unknown): string | undefined {
  if (error instanceof UsageError) return 'see etcdkit --help for commands, etcdkit COMMAND --help for flags'
  const known = error instanceof CommandFailed ? error.cause : error
  return isServerOrWire(known) ? hints[known.code] : undefined
}

function isServerOrWire(error: unknown): error is EtcdError {
  return isEtcdError(error) && error.code !== 'INVALID_ARGUMENT'
}
