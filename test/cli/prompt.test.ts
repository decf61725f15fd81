import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { useClient, useCluster } from '../support/cluster.js'
import { cli } from './run-cli.js'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')

/**
 * Runs a program on a pseudo-terminal, types an answer whenever a question appears, and prints what the terminal showed,
 * the exit status, and whether the terminal echoes afterwards.
 */
const driver = `
import json, os, pty, select, sys, termios, time
answers = json.loads(sys.argv[1])
pid, fd = pty.fork()
if pid == 0: os.execvp(sys.argv[2], sys.argv[2:])
shown, end = b'', time.time() + 20
while time.time() < end:
    if not select.select([fd], [], [], 0.1)[0]: continue
    try: piece = os.read(fd, 4096)
    except OSError: break
    if not piece: break
    shown += piece
    if answers and shown.rstrip(b' ').endswith(b':'):
        deadline = time.time() + 5
        while termios.tcgetattr(fd)[3] & termios.ECHO and time.time() < deadline: time.sleep(0.01)
        os.write(fd, answers.pop(0).encode())
try: echo = bool(termios.tcgetattr(fd)[3] & termios.ECHO)
except termios.error: echo = True
_, status = os.waitpid(pid, 0)
print(json.dumps({'shown': shown.decode(), 'status': os.waitstatus_to_exitcode(status), 'echo': echo}))
`

interface Terminal {
  readonly shown: string
  readonly status: number
  readonly echo: boolean
}

describe('A password', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-prompt-'))
  writeFileSync(join(folder, 'driver.py'), driver)
  after(() => rmSync(folder, { recursive: true }))

  /** `undefined` if this machine has no Python with pseudo-terminals. */
  const onTerminal = async (answers: readonly string[], ...args: string[]): Promise<Terminal | undefined> => {
    if (
      !(await run('python3', ['-c', 'import pty, os; os.waitstatus_to_exitcode']).then(
        () => true,
        () => false,
      ))
    )
      return undefined
    const program = [process.execPath, '--import', './test/support/typescript.js', 'src/cli/bin.ts', ...args]
    const env = { ...process.env, ETCDCTL_ENDPOINTS: cluster.endpoints.join(',') }
    const words = [join(folder, 'driver.py'), JSON.stringify(answers), ...program]
    return JSON.parse((await run('python3', words, { cwd: root, env })).stdout)
  }
  const missing = 'python3 with pseudo-terminals is not installed'

  test('is asked for twice by `user add`, without echo', async (t) => {
    const terminal = await onTerminal(
      ['seecret\u007f\u007f\u007f\u007f\u007f\u007fcret\r', 'scret\r'],
      'user',
      'add',
      'typed',
    )
    if (terminal === undefined) return t.skip(missing)
    assert.equal(terminal.status, 0)
    assert.match(
      terminal.shown,
      /^Password of typed: \r\nType password of typed again for confirmation: \r\nUser typed created\r\n$/,
    )
    assert.equal(terminal.echo, true)
  })

  test('that differs from its confirmation is rejected', async (t) => {
    const terminal = await onTerminal(['one\r', 'two\r'], 'user', 'passwd', 'typed')
    if (terminal === undefined) return t.skip(missing)
    assert.equal(terminal.status, 2)
    assert.match(terminal.shown, /error:.* the passwords differ/)
  })

  test('can be interrupted: the terminal echoes again, and the status is 130', async (t) => {
    const terminal = await onTerminal(['se\u0003'], 'get', 'k', '--user', 'root')
    if (terminal === undefined) return t.skip(missing)
    assert.deepEqual([terminal.status, terminal.echo, terminal.shown], [130, true, 'Password: \r\n'])
  })

  test('of --user is asked for on a terminal', async (t) => {
    await etcd.auth.users.add('root', 'secret')
    await etcd.auth.roles.add('root').catch(() => {})
    await etcd.auth.users.grantRole('root', 'root')
    await etcd.put('k', 'v')
    await etcd.auth.enable()
    try {
      const terminal = await onTerminal(['secret\r'], 'get', 'k', '--user', 'root')
      if (terminal === undefined) return t.skip(missing)
      assert.deepEqual(
        [terminal.status, terminal.shown.replace(/EtcdkitWarning.*\r\n/, '')],
        [0, 'Password: \r\nk\r\nv\r\n'],
      )
    } finally {
      const disabled = await cli(['auth', 'disable', '--user', 'root:secret'], { endpoints: cluster.endpoints })
      assert.equal(disabled.status, 0)
    }
  })

  test('needs a terminal: otherwise the error names the flags', async () => {
    const options = { endpoints: cluster.endpoints, input: '' }
    const added = await cli(['user', 'add', 'someone'], options)
    assert.equal(added.status, 2)
    assert.match(added.stderr, /not a terminal.*--interactive=false.*--new-user-password/)
    const read = await cli(['get', 'k', '--user', 'root'], options)
    assert.equal(read.status, 2)
    assert.match(read.stderr, /--user has no password: set ETCDCTL_PASSWORD/)
  })

  test('is read from standard input with --interactive=false', async () => {
    const options = { endpoints: cluster.endpoints, input: 'from a pipe\n' }
    const { status, stdout } = await cli(['user', 'add', 'piped', '--interactive=false'], options)
    assert.deepEqual({ status, stdout }, { status: 0, stdout: 'User piped created\n' })
  })
})
