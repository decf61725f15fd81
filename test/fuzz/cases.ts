import { types } from 'node:util'
import { type Hostile, invalidEverywhere } from './hostile.js'

/** A call's arguments, made anew for each call. */
export interface Case {
  /** Which argument is hostile, as `0` or `1.timeoutMs`. */
  readonly place: string
  readonly value: Hostile
  readonly args: () => readonly unknown[]
}

const maxArguments = 3

/** Calls with one hostile argument among valid ones, or with hostile ones only if no valid ones are known. */
export function argumentCases(valid: readonly unknown[] | undefined, values: readonly Hostile[]): Case[] {
  if (valid === undefined) return values.map((value) => ({ place: 'all', value, args: () => repeated(value) }))
  return valid.flatMap((_, place) =>
    values.map((value) => ({ place: String(place), value, args: () => valid.with(place, value.make()) })),
  )
}

/** Calls with valid arguments and one hostile option: each option gets one of `parts` parts of the values. */
export function optionCases(
  valid: readonly unknown[],
  names: ReadonlyMap<number, readonly string[]>,
  values: readonly Hostile[],
  parts: number,
): Case[] {
  return [...names].flatMap(([position, known]) =>
    known.flatMap((name, ordinal) =>
      values
        .filter((value, index) => index % parts === ordinal % parts || invalidEverywhere.includes(value))
        .map((value) => ({
          place: `${position}.${name}`,
          value,
          args: () => valid.with(position, { ...Object(valid[position]), [name]: value.make() }),
        })),
    ),
  )
}

/** The names of options, as the error for an unknown one lists them, by the position of the argument. */
export async function optionNames(
  valid: readonly unknown[],
  call: (args: readonly unknown[]) => Promise<unknown>,
): Promise<ReadonlyMap<number, readonly string[]>> {
  const names = new Map<number, readonly string[]>()
  for (const [position, value] of valid.entries()) {
    if (!isPlain(value)) continue
    const error = await call(valid.with(position, { ...value, unheardOf: 1 }))
    const [, list] = /known are (.*)$/.exec(error instanceof Error ? error.message : '') ?? []
    if (list !== undefined) names.set(position, list.split(', '))
  }
  return names
}

function isPlain(value: unknown): value is object {
  return (
    typeof value === 'object' &&
    value !== null &&
    !types.isProxy(value) &&
    Object.getPrototypeOf(value) === Object.prototype
  )
}

function repeated(value: Hostile): unknown[] {
  return Array.from({ length: maxArguments }, () => value.make())
}
