import { readFileSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { nearest } from '../core/validate.js'
import { Etcd } from '../index.js'
import { type ParsedLine, parseLine } from './arguments.js'
import type { Command, Context } from './command.js'
import { commands } from './commands.js'
import { failureOf } from './failure.js'
import { clientOptionsOf, environmentWith, formatOf } from './global-flags.js'
import { commandHelp, programHelp } from './help.js'
import { type Format, Output } from './output.js'
import { styleFor } from './style.js'
import { TerminalNotes } from './terminal-notes.js'
import { UsageError } from './usage-error.js'

/** The process of the program. */
export interface Host {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Writable & { readonly isTTY?: boolean }
  readonly stderr: Writable & { readonly isTTY?: boolean }
  /** Aborts with the reason to stop. */
  readonly signal: AbortSignal
}

/** Runs a command line and resolves to the exit status. */
export async function main(argv: readonly string[], host: Host): Promise<number> {
  let format: Format = 'simple'
  try {
    const line = parseLine(argv, commands)
    format = formatOf(line.globals, host.env)
    const text = textWanted(argv, line)
    if (text === undefined && line.command !== undefined) return await run(line.command, line, format, host)
    await new Output(host.stdout, format, styleFor(false, host.env)).line(text)
    return 0
  } catch (error) {
    const style = styleFor(host.stderr.isTTY === true, host.env)
    const { status, text } = failureOf(error, { format, style })
    if (text !== undefined) host.stderr.write(`${text}\n`)
    return status
  }
}

async function run(
  command: Command,
  { flags, globals, args }: ParsedLine,
  format: Format,
  host: Host,
): Promise<number> {
  const { stdin, stdout, stderr, signal } = host
  const clientOptions = clientOptionsOf(globals, host.env)
  const opened: Etcd[] = []
  const notes = new TerminalNotes(stderr)
  const context: Context = {
    output: new Output(stdout, format, styleFor(stdout.isTTY === true, host.env)),
    stdin,
    notes,
    env: environmentWith(globals, host.env),
    signal,
    clientOptions,
    client(overrides) {
      const etcd = new Etcd({ ...clientOptions, ...overrides })
      opened.push(etcd)
      return etcd
    },
  }
  try {
    return (await command.run(context, { flags, args })) ?? 0
  } finally {
    notes.clear()
    await Promise.all(opened.map((etcd) => etcd.close()))
  }
}

/** The help or version text that the line requests. */
function textWanted(argv: readonly string[], { command, words, globals }: ParsedLine): string | undefined {
  if (command !== undefined) return globals.help === true ? commandHelp(command) : undefined
  if (words[0] === 'version' || globals.version === true) return version()
  const [about, isAsked] = words[0] === 'help' ? [words.slice(1), true] : [words, globals.help === true]
  const named = commands.find(({ name }) => name === about.join(' '))
  if (named !== undefined) return commandHelp(named)
  const isGroup = commands.some(({ name }) => name.startsWith(`${about.join(' ')} `))
  if (about.length > 0 && !isGroup) throw unknownCommand(about)
  if (isAsked || about.length > 0 || argv.length === 0) return programHelp(commands, about)
  throw new UsageError('missing command')
}

function unknownCommand(words: readonly string[]): UsageError {
  const [first = '', second = ''] = words
  const names = commands.map(({ name }) => name)
  const isGroup = names.some((name) => name.startsWith(`${first} `))
  const shown = isGroup && second !== '' ? `${first} ${second}` : first
  const meant = nearest(shown, names) ?? nearest(first, [...new Set(names.map((name) => name.split(' ')[0] ?? ''))])
  return new UsageError(`unknown command ${shown}${meant === undefined ? '' : `: did you mean ${meant}?`}`)
}

function version(): string {
  // The path is the same from src/cli and dist/cli.
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : ''
}
