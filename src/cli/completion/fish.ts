import type { Branch, CompletedFlag } from './model.js'

/** A completion script for fish. */
export function fishCompletion(branches: readonly Branch[]): string {
  return [
    '# fish completion for etcdkit: etcdkit completion fish | source',
    'function __etcdkit_path',
    "  set -l branch ''",
    '  for word in (commandline -opc)[2..-1]',
    '    switch "$branch $word"',
    ...branches.flatMap(({ path }) => stepOf(path)),
    '    end',
    '  end',
    '  test "$branch" = "$argv[1]"',
    'end',
    'complete -c etcdkit -f',
    ...branches.flatMap(linesOf),
  ].join('\n')
}

function stepOf(path: string): string[] {
  if (path === '') return []
  const words = path.split(' ')
  return [`      case '${words.slice(0, -1).join(' ')} ${words.at(-1)}'`, `        set branch '${path}'`]
}

function linesOf({ path, words, flags, takesFiles }: Branch): string[] {
  const start = `complete -c etcdkit -n '__etcdkit_path "${path}"'`
  return [
    ...words.map(({ word, help }) => `${start} -a '${word}' -d ${quoted(help)}`),
    ...flags.map((flag) => `${start} ${flagText(flag)}`),
    ...(takesFiles ? [`${start} -F`] : []),
  ]
}

function flagText({ word, short, help, takesValue, takesFile, choices }: CompletedFlag): string {
  const names = `-l ${word}${short === undefined ? '' : ` -s ${short}`}`
  const value = !takesValue
    ? ''
    : takesFile
      ? ' -r -F'
      : ` -x${choices.length === 0 ? '' : ` -a '${choices.join(' ')}'`}`
  return `${names}${value} -d ${quoted(help)}`
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
