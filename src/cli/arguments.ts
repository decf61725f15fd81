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
}

/** Finds the command in a line and parses its flags and the global ones. Throws `UsageError`. */
export function parseLine(argv: readonly string[], commands: readonly Command[]): ParsedLine {
  const places = wordPlaces(argv, globalFlags)
  const words = places.map((at) => argv[at] ?? '')
  const command = findCommand(words, commands)
  const nameWords = command?.name.split(' ').length ?? 0
  const isNamed = (_: string, at: number): boolean => places.indexOf(at) >= 0 && places.indexOf(at) < nameWords
  const rest = argv.filter((word, at) => !isNamed(word, at))
  if (command === undefined) {
    return { command, words, flags: {}, globals: parse(rest, globalFlags).values, args: [] }
  }
  return { command, words, ...parseRest(rest, command) }
}

function parseRest(rest: readonly string[], command: Command): Pick<ParsedLine, 'flags' | 'globals' | 'args'> {
  const table = { ...globalFlags, ...command.flags }
  const [own, passedOn] = split(rest, table, command.passesOnAfter)
  const { values, positionals } = parse(own, table)
  const args = [...positionals, ...passedOn]
  // With --help, the arguments may be incomplete.
  if (values.help !== true) checkArity(command, args)
  return { flags: values, globals: values, args }
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
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options: table, strict: true, allowPositionals: true })
    return { values: values as Values['values'], positionals }
  } catch (error) {
    throw new UsageError(problemOf(error, Object.keys(table)))
  }
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
  const [, unknown] = /^Unknown option '--?([^']*)'/.exec(text) ?? []
  if (unknown === undefined) return text.split('\n')[0] ?? text
  const meant = nearest(unknown, known)
  return `unknown flag --${unknown}${meant === undefined ? '' : `: did you mean --${meant}?`}`
}

/** The command with the most words that the line begins with. */
function findCommand(words: readonly string[], commands: readonly Command[]): Command | undefined {
  const matching = commands.filter(({ name }) => name.split(' ').every((word, at) => words[at] === word))
  return matching.toSorted((a, b) => b.name.length - a.name.length)[0]
}
