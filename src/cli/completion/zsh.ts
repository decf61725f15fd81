import type { Branch, CompletedFlag, Word } from './model.js'

/** A completion script for zsh. */
export function zshCompletion(branches: readonly Branch[]): string {
  return `#compdef etcdkit
# zsh completion for etcdkit: source <(etcdkit completion zsh), after compinit
_etcdkit() {
  local cur=\${words[CURRENT]} prev=\${words[CURRENT-1]} branch='' word i
  local -a list flags
  for ((i = 2; i < CURRENT; i++)); do
    word=\${words[i]}
    case "$branch $word" in
${stepsOf(branches)}
    esac
  done
  case "$branch,$prev" in
${branches.flatMap(({ path, flags }) => flags.flatMap((flag) => valueCases(path, flag))).join('\n')}
  esac
  case "$branch" in
${branches.map(branchCase).join('\n')}
  esac
  if [[ $cur == -* ]]; then _describe -o 'flag' flags
  else _describe 'command' list; fi
}
compdef _etcdkit etcdkit`
}

function stepsOf(branches: readonly Branch[]): string {
  const paths = branches.map(({ path }) => path).filter((path) => path !== '')
  return paths
    .map((path) => {
      const words = path.split(' ')
      return `      '${words.slice(0, -1).join(' ')} ${words.at(-1)}') branch='${path}' ;;`
    })
    .join('\n')
}

function valueCases(path: string, { word, short, takesValue, takesFile, choices }: CompletedFlag): string[] {
  if (!takesValue) return []
  const names = [`--${word}`, ...(short === undefined ? [] : [`-${short}`])]
  const reply = takesFile ? '_files' : `compadd -- ${choices.join(' ')}`
  return [`    ${names.map((name) => `'${path},${name}'`).join('|')}) ${reply}; return ;;`]
}

function branchCase({ path, words, flags, takesFiles }: Branch): string {
  const names = flags.flatMap((flag) => [
    { word: `--${flag.word}`, help: flag.help },
    ...(flag.short === undefined ? [] : [{ word: `-${flag.short}`, help: flag.help }]),
  ])
  const files = takesFiles ? '; [[ $cur == -* ]] || { _files; return; }' : ''
  return `    '${path}') list=(${described(words)}); flags=(${described(names)})${files} ;;`
}

/** Words and their descriptions, separated by colons and quoted for the shell. */
function described(words: readonly Word[]): string {
  return words
    .map(({ word, help }) => `'${`${word}:${help.replaceAll(':', '\\:')}`.replaceAll("'", "'\\''")}'`)
    .join(' ')
}
