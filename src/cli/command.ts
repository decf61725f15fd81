import type { Readable } from 'node:stream'
import type { ClientOptions, Etcd } from '../index.js'
import type { Output } from './output.js'

/** One flag of a command. */
export interface Flag {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  /** The placeholder of its value in the help, such as `DURATION`. */
  readonly value?: string
  readonly help: string
  /** The values that it accepts, if they are few. */
  readonly choices?: readonly string[]
  /** Whether its value is a file that the command writes: the path is checked before the command runs. @default false */
  readonly isOutput?: boolean
  /** The option of the library that it sets: an error about the option names the flag. */
  readonly option?: string
}

/** Flags by their names. */
export type Flags = Readonly<Record<string, Flag>>

/** The values given for a table of flags. */
export type FlagValues<Table extends Flags> = {
  readonly [Name in keyof Table]?: (Table[Name]['type'] extends 'boolean' ? boolean : string) | undefined
}

/** Standard input. */
export type Input = Readable & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): unknown }

/** Asks for a secret on the terminal without echo; `undefined` if standard input is not a terminal. */
export type Prompt = (question: string) => Promise<string> | undefined

/** The environment of a command. */
export interface Context {
  readonly output: Output
  readonly stdin: Input
  /** Asks for a password on the terminal. */
  readonly prompt: Prompt
  /** Progress and warnings, which are not part of the result. */
  readonly notes: Notes
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborts when the process is interrupted. */
  readonly signal: AbortSignal
  /** Client options from the global flags and the environment. */
  readonly clientOptions: ClientOptions
  /** A client of the cluster. It is closed when the command ends. */
  client(overrides?: ClientOptions): Etcd
}

/** Messages to the user while a command runs, on standard error. */
export interface Notes {
  /** Whether lines can be overwritten: a terminal. */
  readonly isTTY: boolean
  /** Writes a line. */
  line(text: string): void
  /** Shows a status line in place of the last one. Does nothing unless standard error is a terminal. */
  status(text: string): void
  /** Removes the status line. */
  clear(): void
}

/** The flags and arguments of a call. */
export interface Invocation<Table extends Flags> {
  readonly flags: FlagValues<Table>
  readonly args: readonly string[]
  /** The words that are passed to another program. */
  readonly passedOn: readonly string[]
}

/** The definition of a command. */
export interface CommandSpec<Table extends Flags> {
  /** One word or several, as in `snapshot save`. */
  readonly name: string
  /** Further names, such as that of etcdctl. */
  readonly aliases?: readonly string[]
  /** The arguments after the name, in the notation of the help. */
  readonly usage: string
  readonly summary: string
  /** Further lines of the command's help. */
  readonly details?: readonly string[]
  readonly flags: Table
  /** The values of its argument, if they are few. */
  readonly choices?: readonly string[]
  /** The arguments that set options of the library, by option: errors name the argument. */
  readonly operands?: Readonly<Record<string, string>>
  /** Whether it needs no cluster, and therefore no connection flags. @default false */
  readonly isOffline?: boolean
  /** The minimum and maximum number of arguments. */
  readonly arity: readonly [min: number, max: number]
  /** The number of arguments after which everything is passed to another program. */
  readonly passesOnAfter?: number
  /** Whether the words after `--` are another program, and not arguments. @default false */
  readonly hasHook?: boolean
  /** Resolves to the exit status; undefined is 0. */
  run(context: Context, invocation: Invocation<Table>): Promise<number | undefined>
}

/** A command without the types of its flags, so that commands fit in one list. */
export interface Command extends Omit<CommandSpec<Flags>, 'run'> {
  run(context: Context, invocation: Invocation<Flags>): Promise<number | undefined>
}

/** Makes a command whose `run` knows the types of its flags. */
export function defineCommand<const Table extends Flags>(spec: CommandSpec<Table>): Command {
  return {
    ...spec,
    // The parser gives exactly the flags of the table, with the types that are written there.
    run: (context, { flags, ...rest }) => spec.run(context, { flags: flags as FlagValues<Table>, ...rest }),
  }
}
