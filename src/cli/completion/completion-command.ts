import { type Command, defineCommand } from '../command.js'
import { UsageError } from '../usage-error.js'
import { bashCompletion } from './bash.js'
import { fishCompletion } from './fish.js'
import { type Branch, branchesOf } from './model.js'
import { zshCompletion } from './zsh.js'

const shells: Readonly<Record<string, (branches: readonly Branch[]) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
}

/** Makes the command that prints completion scripts for all of `others` and itself. */
export function completionCommand(others: readonly Command[]): Command {
  const command: Command = defineCommand({
    name: 'completion',
    usage: 'bash|zsh|fish',
    summary: 'print a script that completes commands and flags in a shell',
    details: [
      'bash: source <(etcdkit completion bash)',
      'zsh:  source <(etcdkit completion zsh)',
      'fish: etcdkit completion fish | source',
    ],
    flags: {},
    choices: Object.keys(shells),
    arity: [1, 1],
    isOffline: true,
    async run({ output }, { args: [shell = ''] }) {
      const script = shells[shell]
      if (script === undefined)
        throw new UsageError(`the shell must be bash, zsh or fish, got ${JSON.stringify(shell)}`)
      await output.line(script(branchesOf([...others, command])))
      return 0
    },
  })
  return command
}
