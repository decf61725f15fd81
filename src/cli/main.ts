import { readFileSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { nearest } from '../core/validate.js'
import { Etcd } from '../index.js'
import { type ParsedLine, parseLine } from './arguments.js'
import type { Command, Context, Input, Prompt } from './command.js'
import { commands } from './commands.js'
import { failureOf } from './failure.js'
import { clientOptionsOf, environmentWith, optionNames, outputOptionsOf } from './global-flags.js'
import { commandHelp, programHelp } from './help.js'
import { Output, type OutputOptions } from './output.js'
import { checkOutputPaths } from './page-file.js'
import { passwordPrompt } from './prompt.js'
import { ReaderGone } from './reader-gone.js'
import { styleFor } from './style.js'
import { TerminalNotes } from './terminal-notes.js'
import { UsageError } from './usage-error.js'
import { checkUtf8 } from './utf8.js'

/** The process of the program. */
export interface Host {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: Input
  readonly stdout: Writable & { readonly isTTY?: boolean }
  readonly stderr: Writable & { readonly isTTY?: boolean }
  /** Aborts with the reason to stop. */
  readonly signal: AbortSignal
}

/** Runs a command line and resolves to the exit status. */
export async function main(argv: readonly string[], host: Host): Promise<number> {
  let output: OutputOptions = { format: 'simple', isEtcdctl: true, hex: false }
  let names: ReadonlyMap<string, string> = new Map()
  try {
    for (const word of argv) checkUtf8('argument', word, 'use etcdkit txn, where "\\xff" is a byte')
    const line = parseLine(argv, commands)
    names = optionNames(line.command, line.globals, host.env)
    output = outputOptionsOf(line.globals, host.env)
    const text = textWanted(argv, line)
    if (text === undefined && line.command !== undefined) return await run(line.command, line, output, host)
    const printed = new Output(host.stdout, output, styleFor(false, host.env))
    await printed.line(text)
    await flush(printed)
    return 0
  } catch (error) {
    const style = styleFor(host.stderr.isTTY === true, host.env)
    const { status, text } = failureOf(error, { format: output.format, style, names })
    if (text !== undefined) host.stderr.write(`${text}\n`)
    return status
  }
}

async function run(command: Command, line: ParsedLine, output: OutputOptions, host: Host): Promise<number> {
  const opened: Etcd[] = []
  const context = await contextOf(command, line.globals, output, host, opened)
  try {
    await checkOutputPaths(command.flags, line.flags)
    const status = await command.run(context, line)
    await flush(context.output)
    return status ?? 0
  } finally {
    context.notes.clear()
    await Promise.all(opened.map((etcd) => etcd.close()))
  }
}

/** The command has ended: a reader that is gone does not change its status. */
async function flush(output: Output): Promise<void> {
  try {
    await output.flush()
  } catch (error) {
    if (!(error instanceof ReaderGone)) throw error
  }
}

async function contextOf(
  command: Command,
  globals: ParsedLine['globals'],
  output: OutputOptions,
  { env, stdin, stdout, stderr, signal }: Host,
  opened: Etcd[],
): Promise<Context> {
  const prompt = passwordPrompt(stdin, stderr, signal)
  const known = command.isOffline === true ? env : await withPassword(environmentWith(globals, env), prompt)
  const clientOptions = command.isOffline === true ? {} : clientOptionsOf(globals, known)
  return {
    output: new Output(stdout, output, styleFor(stdout.isTTY === true, env)),
    stdin,
    prompt,
    notes: new TerminalNotes(stderr),
    env: known,
    signal,
    clientOptions,
    client(overrides) {
      const etcd = new Etcd({ ...clientOptions, ...overrides })
      opened.push(etcd)
      return etcd
    },
  }
}

/** Asks for the password of a user without one, if standard input is a terminal. */
async function withPassword(env: Context['env'], prompt: Prompt): Promise<Context['env']> {
  const { ETCDCTL_USER: user = '', ETCDCTL_PASSWORD: password = '', ETCDCTL_AUTH_JWT_TOKEN: token } = env
  if (user === '' || user.includes(':') || password !== '' || token !== undefined) return env
  const typed = await prompt('Password: ')
  return typed === undefined ? env : { ...env, ETCDCTL_PASSWORD: typed }
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
