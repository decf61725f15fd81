import { parseArgs } from 'node:util'
import { nearest } from '../core/validate.js'
import type { Command, Flags, FlagValues } from './command.js'
import { globalFlags } from './global-flags.js'
import { UsageError } from './usage-error.js'

/** A parsed command line. */
export interface ParsedLine {
  /** Undefined if the line names none. */
  readonly command: Command | undefined
  /** The words where a command is expected, if no command has that name: for the help of a group of commands. */
  readonly words: readonly string[]
  readonly flags: FlagValues<Flags>
  readonly globals: FlagValues<typeof globalFlags>
  readonly args: readonly string[]
  /** The words that are passed to another program. */
  readonly passedOn: readonly string[]
}

/** Finds the command in a line and parses its flags and the global ones. Throws `UsageError`. */
export function parseLine(argv: readonly string[], commands: readonly Command[]): ParsedLine {
  const places = wordPlaces(argv, globalFlags)
  const words = places.map((at) => argv[at] ?? '')
  const { command, nameWords } = findCommand(words, commands)
  const isNamed = (_: string, at: number): boolean => places.indexOf(at) >= 0 && places.indexOf(at) < nameWords
  const rest = argv.filter((word, at) => !isNamed(word, at))
  if (command === undefined) {
    return { command, words, flags: {}, globals: parse(rest, globalFlags).values, args: [], passedOn: [] }
  }
  return { command, words, ...parseRest(rest, command) }
}

function parseRest(
  rest: readonly string[],
  command: Command,
): Pick<ParsedLine, 'flags' | 'globals' | 'args' | 'passedOn'> {
  const table = { ...globalFlags, ...command.flags }
  const after = command.hasHook === true ? Number.POSITIVE_INFINITY : command.passesOnAfter
  const [own, passedOn] = split(rest, table, after)
  const { values, positionals } = parse(own, table)
  const args = command.hasHook === true ? positionals : [...positionals, ...passedOn]
  // With --help, the arguments may be incomplete.
  if (values.help !== true) checkArity(command, args)
  return { flags: values, globals: values, args, passedOn }
}

/** Splits a line where another program's words begin: after a number of arguments, or at `--`. */
function split(
  argv: readonly string[],
  table: Flags,
  after: number | undefined,
): readonly [own: readonly string[], passedOn: readonly string[]] {
  if (after === undefined) return [argv, []]
  const dashes = argv.indexOf('--')
  const place = wordPlaces(argv, table)[after]
  if (dashes >= 0 && (place === undefined || dashes < place)) return [argv.slice(0, dashes), argv.slice(dashes + 1)]
  return place === undefined ? [argv, []] : [argv.slice(0, place), argv.slice(place)]
}

function checkArity({ name, usage, arity: [min, max] }: Command, args: readonly string[]): void {
  if (args.length >= min && args.length <= max) return
  const problem = args.length < min ? 'too few arguments' : `unexpected argument ${JSON.stringify(args[max])}`
  throw new UsageError(`${problem}: usage: etcdkit ${`${name} ${usage}`.trim()}`)
}

/** The positions of words that are neither flags nor values of flags. */
function wordPlaces(argv: readonly string[], table: Flags): number[] {
  const { tokens } = parseArgs({ args: [...argv], options: table, strict: false, allowPositionals: true, tokens: true })
  return tokens.filter(({ kind }) => kind === 'positional').map(({ index }) => index)
}

/** No flag can be repeated, so the values have the types of the table. */
function parse(argv: readonly string[], table: Flags): Values {
  const { args, negated } = withoutBooleanValues(argv, table)
  try {
    const { values, positionals } = parseArgs({ args, options: table, strict: true, allowPositionals: true })
    return { values: { ...values, ...negated } as Values['values'], positionals }
  } catch (error) {
    throw new UsageError(problemOf(error, Object.keys(table)))
  }
}

const goBooleans: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'true', 'True', 'TRUE'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'false', 'False', 'FALSE'].map((text) => [text, false] as const),
])

/** Flags of Go may be written `--prefix=true`, `--interactive=false` and `-w=json`. */
function withoutBooleanValues(
  argv: readonly string[],
  table: Flags,
): { readonly args: string[]; readonly negated: Readonly<Record<string, boolean>> } {
  const dashes = argv.indexOf('--')
  const negated: Record<string, boolean> = {}
  const args = argv.flatMap((word, at) => {
    const [, short, value] = /^-(\w)=(.*)$/s.exec(word) ?? []
    if (dashes >= 0 && at > dashes) return [word]
    if (short !== undefined) return [`-${short}${value}`]
    const [, name = '', given = ''] = /^--([\w-]+)=(.*)$/s.exec(word) ?? []
    if (table[name]?.type !== 'boolean') return [word]
    negated[name] = booleanOf(name, given)
    return []
  })
  return { args, negated }
}

function booleanOf(flag: string, text: string): boolean {
  const value = goBooleans.get(text)
  if (value !== undefined) return value
  throw new UsageError(`--${flag} must be true or false, got ${JSON.stringify(text)}`)
}

interface Values {
  readonly values: FlagValues<typeof globalFlags> & FlagValues<Flags>
  readonly positionals: readonly string[]
}

/** The problem, without Node's advice on dashes, and with the most similar flag. */
function problemOf(error: unknown, known: readonly string[]): string {
  const text = error instanceof Error ? error.message : String(error)
  const [, ambiguous] = /^Option '.*--([\w-]+).*' argument is ambiguous/.exec(text) ?? []
  if (ambiguous !== undefined) return `--${ambiguous} needs =VALUE if the value begins with a dash`
  const [, missing] = /^Option '.*--([\w-]+) <value>' argument missing/.exec(text) ?? []
  if (missing !== undefined) return `--${missing} needs a value`
  const [, unknown] = /^Unknown option '--?([^']*)'/.exec(text) ?? []
  if (unknown === undefined) return text.split('\n')[0] ?? text
  const meant = nearest(unknown, known)
  return `unknown flag --${unknown}${meant === undefined ? '' : `: did you mean --${meant}?`}`
}

/** The command with the most words that the line begins with, and the number of these words. */
function findCommand(
  words: readonly string[],
  commands: readonly Command[],
): { readonly command: Command | undefined; readonly nameWords: number } {
  const names = commands.flatMap((command) =>
    [command.name, ...(command.aliases ?? [])].map((name) => ({ command, name })),
  )
  const matching = names.filter(({ name }) => name.split(' ').every((word, at) => words[at] === word))
  const [longest] = matching.toSorted((a, b) => b.name.length - a.name.length)
  return { command: longest?.command, nameWords: longest?.name.split(' ').length ?? 0 }
}
