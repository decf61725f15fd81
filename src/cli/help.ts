import type { Command, Flags } from './command.js'
import { globalFlags } from './global-flags.js'

/** The help of the whole program, or of the commands whose names begin with `words`. */
export function programHelp(commands: readonly Command[], words: readonly string[] = []): string {
  const shown = commands.filter(({ name }) => words.every((word, at) => name.split(' ')[at] === word))
  const rows = shown.map(({ name, summary }): [string, string] => [name, summary])
  const lines = [
    `Usage: etcdkit ${[...words, 'COMMAND'].join(' ')} [arguments] [flags]`,
    '',
    'Commands:',
    ...twoColumns(rows),
    '',
    'Global flags, each also as an environment variable of etcdctl (--endpoints is ETCDCTL_ENDPOINTS):',
    ...flagLines(globalFlags),
    '',
    'See etcdkit COMMAND --help for details.',
    'Exit status: 0 success, 1 failure, 2 invalid command line, 3 a problem was found (doctor, status, endpoint);',
    '130 and 143 after SIGINT and SIGTERM.',
  ]
  return lines.join('\n')
}

/** The help of one command. */
export function commandHelp({ name, aliases = [], usage, summary, details = [], flags }: Command): string {
  const own = Object.keys(flags).length === 0 ? [] : ['', 'Flags:', ...flagLines(flags)]
  const lines = [
    `Usage: etcdkit ${`${name} ${usage}`.trim()} [flags]`,
    '',
    `${summary[0]?.toUpperCase()}${summary.slice(1)}.`,
    ...(aliases.length === 0 ? [] : ['', `Also: ${aliases.join(', ')}.`]),
    ...(details.length === 0 ? [] : ['', ...details]),
    ...own,
    '',
    'Global flags:',
    ...flagLines(globalFlags),
  ]
  return lines.join('\n')
}

function flagLines(flags: Flags): string[] {
  return twoColumns(
    Object.entries(flags).map(([name, { short, value, help }]) => {
      const names = short === undefined ? `    --${name}` : `-${short}, --${name}`
      return [value === undefined ? names : `${names} ${value}`, help]
    }),
  )
}

function twoColumns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}
