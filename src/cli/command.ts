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
}

/** Flags by their names. */
export type Flags = Readonly<Record<string, Flag>>

/** The values given for a table of flags. */
export type FlagValues<Table extends Flags> = {
  readonly [Name in keyof Table]?: (Table[Name]['type'] extends 'boolean' ? boolean : string) | undefined
}

/** The environment of a command. */
export interface Context {
  readonly output: Output
  readonly stdin: Readable & { readonly isTTY?: boolean }
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
}

/** The definition of a command. */
export interface CommandSpec<Table extends Flags> {
  /** One word or several, as in `snapshot save`. */
  readonly name: string
  /** The arguments after the name, in the notation of the help. */
  readonly usage: string
  readonly summary: string
  /** Further lines of the command's help. */
  readonly details?: readonly string[]
  readonly flags: Table
  /** The minimum and maximum number of arguments. */
  readonly arity: readonly [min: number, max: number]
  /** The number of arguments after which everything is passed to another program. */
  readonly passesOnAfter?: number
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
    run: (context, { flags, args }) => spec.run(context, { flags: flags as FlagValues<Table>, args }),
  }
}
