import type { Readable } from 'node:stream'
import type { ClientOptions, Etcd } from '../index.js'
import type { Output } from './output.js'

/** One flag of a command. */
export interface Flag {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  /** What stands for its value in the help, such as `DURATION`. */
  readonly value?: string
  readonly help: string
}

/** Flags by their names. */
export type Flags = Readonly<Record<string, Flag>>

/** What was given for a table of flags. */
export type FlagValues<Table extends Flags> = {
  readonly [Name in keyof Table]?: (Table[Name]['type'] extends 'boolean' ? boolean : string) | undefined
}

/** What a command works with. */
export interface Context {
  readonly output: Output
  readonly stdin: Readable & { readonly isTTY?: boolean }
  /** What is not part of the result: progress, warnings. */
  readonly notes: Notes
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborts when the process is asked to end. */
  readonly signal: AbortSignal
  /** What the global flags and the environment say of the cluster. */
  readonly clientOptions: ClientOptions
  /** A client of the cluster that is closed when the command is over. */
  client(overrides?: ClientOptions): Etcd
}

/** Where people look while a command runs: standard error. */
export interface Notes {
  /** Whether lines can be drawn over: a terminal. */
  readonly isTTY: boolean
  /** Writes a line. */
  line(text: string): void
  /** Shows a line in place of the last one that was shown so; does nothing where that cannot be. */
  status(text: string): void
  /** Takes the status line away. */
  clear(): void
}

/** What a command was called with. */
export interface Invocation<Table extends Flags> {
  readonly flags: FlagValues<Table>
  readonly args: readonly string[]
}

/** What the author of a command writes. */
export interface CommandSpec<Table extends Flags> {
  /** One word or several, as in `snapshot save`. */
  readonly name: string
  /** What comes after the name, in the notation of the help. */
  readonly usage: string
  readonly summary: string
  /** More for the help of the command, as lines. */
  readonly details?: readonly string[]
  readonly flags: Table
  /** The fewest and the most arguments. */
  readonly arity: readonly [least: number, most: number]
  /** After so many arguments everything belongs to another program. */
  readonly passesOnAfter?: number
  /** Resolves to the exit status, 0 if to nothing. */
  run(context: Context, invocation: Invocation<Table>): Promise<number | undefined>
}

/** A command with the types of its flags taken away, so that it goes into a list. */
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
