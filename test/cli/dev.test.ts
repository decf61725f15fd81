import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, test } from 'node:test'
import { exportLine } from '../../src/cli/dev/welcome.js'
import { Interrupted } from '../../src/cli/failure.js'
import { main } from '../../src/cli/main.js'
import { Etcd } from '../../src/index.js'
import { EtcdCluster, poll } from '../../src/testing/index.js'
import { processState } from '../../src/testing/owner.js'
import { within } from '../support/slack.js'
import { CliProcess, cli } from './run-cli.js'

/** The command in this process, on a terminal. */
class DevRun {
  stdout = ''
  #stderr = ''
  readonly #ending = new AbortController()
  readonly #status: Promise<number>

  constructor(...flags: string[]) {
    const stdin = Object.assign(new PassThrough(), { isTTY: true })
    const [stdout, stderr] = [new PassThrough(), new PassThrough()] as const
    stdout.setEncoding('utf8').on('data', (piece: string) => {
      this.stdout += piece
    })
    stderr.setEncoding('utf8').on('data', (piece: string) => {
      this.#stderr += piece
    })
    const streams = { stdin, stdout, stderr: Object.assign(stderr, { isTTY: true, columns: 200 }) }
    this.#status = main(['dev', ...flags], { env: { NO_COLOR: '1' }, ...streams, signal: this.#ending.signal })
  }

  announced(): Promise<string> {
    return announced(this)
  }

  /** Waits until the terminal has shown a text. */
  shows(pattern: RegExp): Promise<unknown> {
    const attempt = () => pattern.test(this.#stderr) || undefined
    return poll(`it shows ${pattern}`, attempt, { timeoutMs: within(15_000) })
  }

  end(signal: 'SIGINT' | 'SIGTERM'): Promise<number> {
    this.#ending.abort(new Interrupted(signal))
    return this.#status
  }
}

/** Resolves to the output that announces the cluster. */
async function announced(program: { readonly stdout: string }): Promise<string> {
  const attempt = () => /^Ctrl-C|^\{.*\}$/m.test(program.stdout) || undefined
  await poll('the cluster is announced', attempt, { timeoutMs: within(15_000) })
  return program.stdout
}

function isGone(pid: number): boolean {
  const state = processState(pid)
  return state === undefined || state === 'Z'
}

/** The folders of clusters that a process of this machine has in the temporary folder. */
function folders(pid: number | undefined): string[] {
  return readdirSync(tmpdir()).filter((name) => {
    const owner = join(tmpdir(), name, 'owner')
    return name.startsWith('etcdkit-cluster-') && existsSync(owner) && String(readOwner(owner)) === String(pid)
  })
}

function readOwner(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8')).pid
}

describe('etcdkit dev', () => {
  test('prints how to reach the cluster, and ends without a trace on SIGINT', async () => {
    const program = new CliProcess(['dev', '--members', '3', '--auth', '--tls', '--port', '0'], {})
    const text = await announced(program)
    assert.match(text, /^etcd \d+\.\d+\.\d+, 3 members; the data is deleted at the end$/m)
    assert.match(text, /^ {2}export ETCDCTL_ENDPOINTS=https:\/\/127\.0\.0\.1:\d+,https:\/\/127/m)
    assert.match(text, /^ {2}export ETCDCTL_CACERT=\/.*\/ca\.crt$/m)
    assert.match(text, /^ {2}export ETCDCTL_USER=root:root$/m)
    assert.doesNotMatch(text, /ETCDCTL_CERT=/)
    assert.equal(folders(program.child.pid).length, 1)
    const env = Object.fromEntries([...text.matchAll(/export (\w+)=(.*)/g)].map(([, name, value]) => [name, value]))
    await using etcd = Etcd.fromEnv({}, env)
    await etcd.put('key', 'value')
    program.child.kill('SIGINT')
    assert.equal(await program.end(), 130)
    const pids = [...text.matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid))
    assert.equal(pids.length, 3)
    assert.ok(pids.every(isGone))
    assert.deepEqual(folders(program.child.pid), [])
    assert.equal(program.stderr, '')
  })

  test('keeps a cluster with --data-dir and continues with it', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-dev-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const flags = ['--data-dir', folder, '--port', '0', '--json']
    const first = new DevRun(...flags)
    const { dataDir, endpoints } = JSON.parse(await first.announced())
    assert.equal(dataDir, folder)
    assert.equal((await cli(['put', 'key', 'kept'], { endpoints })).status, 0)
    assert.match((await cli(['dev', ...flags])).stderr, /is in use by another cluster/)
    assert.equal(await first.end('SIGTERM'), 143)
    const second = new DevRun(...flags)
    assert.deepEqual(JSON.parse(await second.announced()).endpoints, endpoints)
    assert.match((await cli(['get', 'key'], { endpoints })).stdout, /kept/)
    await second.end('SIGTERM')
    const other = await cli(['dev', '--data-dir', folder, '--port', '0', '--members', '3'])
    assert.equal(other.status, 2)
    assert.match(other.stderr, /^error: --members must be 1, as in the cluster in/)
  })

  test('runs a command with the variables of the cluster and exits with its status', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-dev-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const args = ['dev', '--port', '0', '--', 'sh', '-c', 'env > "$0/env"; exit 7', folder]
    const env = { PATH: process.env.PATH ?? '', ETCDCTL_DISCOVERY_SRV: 'example.com' }
    const { status, stdout, stderr } = await cli(args, { env })
    assert.deepEqual({ status, stdout, stderr }, { status: 7, stdout: '', stderr: '' })
    const variables = readFileSync(join(folder, 'env'), 'utf8')
    assert.match(variables, /^ETCDCTL_ENDPOINTS=http:\/\/127\.0\.0\.1:\d+$/m)
    assert.doesNotMatch(variables, /ETCDCTL_DISCOVERY_SRV/)
    assert.deepEqual(folders(process.pid), [])
  })

  test('shows the state of the cluster in one line of a terminal, and starts a member again that ended', async () => {
    const run = new DevRun('--members', '3', '--port', '0')
    await run.shows(/leader m\d · revision 1 · 0 keys · \d+ KiB · 3 of 3 members up/)
    const [, pid] = /m1 .* pid (\d+)/.exec(run.stdout) ?? []
    process.kill(Number(pid), 'SIGKILL')
    await run.shows(/m1 ended; it starts again in 3 s/)
    await run.shows(/ 2 of 3 members up/)
    await run.shows(/m1 runs again, pid \d+.* 3 of 3 members up/s)
    assert.equal(await run.end('SIGINT'), 130)
  })

  test('names the etcd that has the port', async () => {
    await using cluster = await EtcdCluster.start()
    const port = new URL(cluster.endpoints[0] ?? '').port
    const { status, stderr } = await cli(['dev', '--port', port])
    assert.equal(status, 1)
    assert.equal(
      stderr,
      `error: port ${port} of 127.0.0.1 is in use by etcd ${cluster.version}: choose another one with --port PORT, or free ones with --port 0\n`,
    )
  })

  for (const [args, message] of [
    [['--members', '0'], '--members must be a whole number of at least 1, got "0"'],
    [['--members', '10'], '--members must be at most 9, got 10'],
    [['--port', '70000'], '--port must be a port number, got 70000'],
    [['--etcd', 'newest'], "--etcd must be an etcd version such as '3.5' or '3.5.30', got 'newest'"],
    [['--root-password', 'x'], '--root-password needs --auth'],
  ] as const) {
    test(`rejects ${args.join(' ')}`, async () => {
      const { status, stderr } = await cli(['dev', ...args])
      assert.equal(status, 2)
      assert.equal(stderr.split('\n')[0], `error: ${message}`)
    })
  }
})

describe('exportLine()', () => {
  test('quotes what a shell would interpret', () => {
    assert.equal(exportLine('A', 'root:it’s $HOME', 'linux'), "export A='root:it’s $HOME'")
    assert.equal(exportLine('A', "it's", 'darwin'), "export A='it'\\''s'")
    assert.equal(exportLine('A', 'http://127.0.0.1:1,b', 'linux'), 'export A=http://127.0.0.1:1,b')
    assert.equal(exportLine('A', "it's", 'win32'), "$env:A = 'it''s'")
  })
})
