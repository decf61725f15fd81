import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { debianEnv, debianRoot } from '../support/debian-root.js'
import { cli } from './run-cli.js'

const run = promisify(execFile)

/** Command lines, and some of the words that complete the last one. */
const lines: readonly (readonly [line: string, expected: readonly string[]])[] = [
  ['etcdkit ', ['get', 'user', 'completion', 'bench']],
  ['etcdkit us', ['user']],
  ['etcdkit user ', ['add', 'grant-role', 'passwd']],
  ['etcdkit --endpoints http://127.0.0.1:2379 member ', ['list', 'promote']],
  ['etcdkit get --pre', ['--prefix']],
  ['etcdkit compaction --ph', ['--physical']],
  ['etcdkit get k --order ', ['ASCEND', 'DESCEND']],
  ['etcdkit get -w ', ['simple', 'table', 'json', 'fields']],
  ['etcdkit completion ', ['bash', 'zsh', 'fish']],
]

describe('Completion', () => {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-completion-'))
  after(() => rmSync(folder, { recursive: true }))

  const script = async (shell: string): Promise<string> => {
    const path = join(folder, shell)
    const { status, stdout } = await cli(['completion', shell])
    assert.equal(status, 0)
    writeFileSync(path, stdout)
    return path
  }

  const check = (words: readonly string[], line: string, expected: readonly string[]): void => {
    for (const word of expected) assert.ok(words.includes(word), `${line}: ${word} is not among ${words.join(' ')}`)
  }

  test('in bash proposes commands, flags and their values', async (t) => {
    if (!existsSync('/usr/bin/bash')) return t.skip('bash is not installed')
    const path = await script('bash')
    const asks = lines.map(([line]) => {
      const words = line.split(' ')
      return `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; COMPREPLY=(); _etcdkit; echo "\${COMPREPLY[@]}"`
    })
    const { stdout } = await run('bash', ['--norc', '-ec', [`source ${path}`, ...asks].join('\n')])
    const replies = stdout.split('\n')
    for (const [at, [line, expected]] of lines.entries()) check(replies[at]?.split(' ') ?? [], line, expected)
    const equals = `COMP_WORDS=(etcdkit get --order = DES); COMP_CWORD=4; _etcdkit; echo "\${COMPREPLY[@]}"`
    assert.equal((await run('bash', ['--norc', '-ec', `source ${path}\n${equals}`])).stdout, 'DESCEND\n')
  })

  describe('of shells from Debian', () => {
    let root: string | Error = new Error('not there')
    before(async () => {
      root = await debianRoot('shells', ['zsh', 'fish']).catch((error: unknown) => error as Error)
    })

    test('in fish proposes commands, flags and their values', async (t) => {
      if (root instanceof Error) return t.skip(`fish cannot be installed: ${root.message}`)
      const path = await script('fish')
      const asks = lines.map(([line]) => `echo (complete -C '${line}' | string split -f1 \\t)`)
      const env = { ...debianEnv(root), HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder }
      const { stdout } = await run(
        join(root, 'usr/bin/fish'),
        ['--no-config', '-c', `source ${path}; ${asks.join('; ')}`],
        {
          env,
        },
      )
      const replies = stdout.split('\n')
      for (const [at, [line, expected]] of lines.entries()) check(replies[at]?.split(' ') ?? [], line, expected)
    })

    test('in zsh proposes commands, flags and their values', async (t) => {
      if (root instanceof Error) return t.skip(`zsh cannot be installed: ${root.message}`)
      const path = await script('zsh')
      // The functions of the completion system are replaced: they need an interactive shell.
      const stubs = [
        'compdef() { : }',
        `_describe() { [[ $1 == -o ]] && shift; local name=$2 item; for item in "\${(@P)name}"; do print -rn -- "\${item%%:*} "; done }`,
        'compadd() { shift; print -rn -- "$@" }',
      ]
      const asks = lines.map(([line]) => {
        const words = line.split(' ')
        return `words=(${words.map((word) => `'${word}'`).join(' ')}); CURRENT=${words.length}; _etcdkit; print`
      })
      const text = [...stubs, `source ${path}`, ...asks].join('\n')
      const binary = ['usr/bin/zsh', 'bin/zsh'].map((name) => join(root as string, name)).find(existsSync) ?? ''
      const { stdout } = await run(binary, ['-fc', text], { env: debianEnv(root) })
      const replies = stdout.split('\n')
      for (const [at, [line, expected]] of lines.entries()) check(replies[at]?.split(' ') ?? [], line, expected)
    })
  })
})
