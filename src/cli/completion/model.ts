import type { Command, Flag } from '../command.js'
import { globalFlags } from '../global-flags.js'

/** A word that can follow, with its description. */
export interface Word {
  readonly word: string
  readonly help: string
}

/** A command or a group of commands, and what can follow its name. */
export interface Branch {
  /** The words of the name, separated by spaces; empty for the program. */
  readonly path: string
  readonly words: readonly Word[]
  readonly flags: readonly CompletedFlag[]
  /** Whether files are completed as arguments. */
  readonly takesFiles: boolean
}

/** A flag for completion. */
export interface CompletedFlag extends Word {
  readonly short: string | undefined
  readonly takesValue: boolean
  readonly choices: readonly string[]
  readonly takesFile: boolean
}

/** Everything that can be completed, from the table of commands. */
export function branchesOf(commands: readonly Command[]): Branch[] {
  const names = commands.flatMap((command) =>
    [command.name, ...(command.aliases ?? [])].map((name) => ({ name, command })),
  )
  const groups = new Set(names.flatMap(({ name }) => prefixesOf(name)))
  const inner = [...groups].map((path) => groupOf(path, names))
  const leaves = names.map(({ name, command }): Branch => {
    const takesFiles = /\bFILE\b|\bCOMMAND\b/.test(command.usage)
    const words = command.choices?.map((word) => ({ word, help: '' })) ?? []
    return { path: name, words, flags: flagsOf({ ...command.flags, ...globalFlags }), takesFiles }
  })
  return [...inner, ...leaves]
}

/** The names of the groups of a command: for `user add`, the program and `user`. */
function prefixesOf(name: string): string[] {
  const words = name.split(' ')
  return words.map((_, at) => words.slice(0, at).join(' '))
}

function groupOf(path: string, names: readonly { readonly name: string; readonly command: Command }[]): Branch {
  const start = path === '' ? '' : `${path} `
  const words = new Map<string, string>()
  for (const { name, command } of names) {
    if (!name.startsWith(start)) continue
    const [word = '', ...rest] = name.slice(start.length).split(' ')
    words.set(word, rest.length === 0 ? command.summary : `commands of ${`${start}${word}`}`)
  }
  const list = Array.from(words, ([word, help]) => ({ word, help }))
  const own =
    path === '' ? [...list, { word: 'help', help: 'show help' }, { word: 'version', help: 'show the version' }] : list
  return { path, words: own, flags: flagsOf(globalFlags), takesFiles: false }
}

function flagsOf(table: Readonly<Record<string, Flag>>): CompletedFlag[] {
  return Object.entries(table).map(([word, { help, short, type, choices = [], value }]) => ({
    word,
    help,
    short,
    takesValue: type === 'string',
    choices,
    takesFile: value === 'FILE',
  }))
}
