import type { Branch, CompletedFlag } from './model.js'

/** A completion script for bash 3.2 or later. */
export function bashCompletion(branches: readonly Branch[]): string {
  return `# bash completion for etcdkit: source <(etcdkit completion bash)
_etcdkit() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} branch='' word i words flags files
  # Bash splits words at '=': --output=json is three of them.
  if [[ $cur == '=' ]]; then cur=''; elif [[ $prev == '=' ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case "$branch $word" in
${stepsOf(branches)}
    esac
  done
  case "$branch,$prev" in
${valuesOf(branches)}
  esac
  case "$branch" in
${branches.map(branchCase).join('\n')}
  esac
  if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  elif [[ -n $files ]]; then COMPREPLY=($(compgen -f -- "$cur"))
  else COMPREPLY=($(compgen -W "$words" -- "$cur")); fi
}
complete -o bashdefault -F _etcdkit etcdkit`
}

/** The words that lead from one branch to another. */
function stepsOf(branches: readonly Branch[]): string {
  const paths = branches.map(({ path }) => path).filter((path) => path !== '')
  return paths
    .map((path) => {
      const words = path.split(' ')
      const before = words.slice(0, -1).join(' ')
      return `      '${before} ${words.at(-1)}') branch='${path}' ;;`
    })
    .join('\n')
}

function valuesOf(branches: readonly Branch[]): string {
  return branches.flatMap(({ path, flags }) => flags.flatMap((flag) => valueCases(path, flag))).join('\n')
}

function valueCases(path: string, flag: CompletedFlag): string[] {
  if (!flag.takesValue) return []
  const names = [`--${flag.word}`, ...(flag.short === undefined ? [] : [`-${flag.short}`])]
  const patterns = names.map((name) => `'${path},${name}'`).join('|')
  const reply = flag.takesFile ? 'compgen -f' : `compgen -W '${flag.choices.join(' ')}'`
  return [`    ${patterns}) COMPREPLY=($(${reply} -- "$cur")); return ;;`]
}

function branchCase({ path, words, flags, takesFiles }: Branch): string {
  const names = flags.flatMap(({ word, short }) => [`--${word}`, ...(short === undefined ? [] : [`-${short}`])])
  const list = words.map(({ word }) => word).join(' ')
  return `    '${path}') words='${list}' flags='${names.join(' ')}' files='${takesFiles ? 'yes' : ''}' ;;`
}
