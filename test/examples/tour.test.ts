import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { poll } from '../../src/testing/index.js'

const root = join(import.meta.dirname, '../..')

/** How a tour ended. */
interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A tour in its own process, as `npm start` runs it. Its temporary folder identifies its members. */
class Tour {
  readonly folder: string
  readonly ended: Promise<Ended>
  stdout = ''

  constructor(t: TestContext, env: NodeJS.ProcessEnv = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-tour-'))
    this.folder = folder
    const child = spawn(process.execPath, ['--import', './test/support/typescript.js', 'examples/tour.ts'], {
      cwd: root,
      env: { ...process.env, TMPDIR: folder, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
      killSignal: 'SIGKILL',
    })
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve({ code, stdout: this.stdout, stderr }))
    })
    t.after(async () => {
      child.kill('SIGKILL')
      await this.ended
      rmSync(folder, { recursive: true, force: true })
    })
  }

  /** The members that run, as process ids. */
  get members(): number[] {
    const processes = execFileSync('ps', ['-A', '-ww', '-o', 'pid=,args='], { encoding: 'utf8' }).split('\n')
    return processes.filter((line) => line.includes(this.folder)).map((line) => Number.parseInt(line, 10))
  }

  /** What it keeps on disk for its members. */
  get dataFolders(): string[] {
    return readdirSync(this.folder).filter((name) => name.startsWith('etcdkit-cluster-'))
  }

  /** Waits until the tour has printed this. */
  async printed(text: string): Promise<void> {
    await poll(`the tour prints ${text}`, async () => this.stdout.includes(text) || undefined, { timeoutMs: 30_000 })
  }
}

/** What a tour prints, as a regular expression in which `#` is a number. */
const output = `
etcdkit on 3 members of etcd #
  started in      # ms

Calls are balanced over the members, by the servers’ own metrics
  m0             +# █+
  m1             +# █+
  m2             +# █+
  ✓ 3,000 reads over 3 members, at most # apart, #/s

Linearizable and serializable reads of one key
  put             answered by m# at revision # in # ms
  linearizable    answered by m# at revision # in # ms
  serializable    answered by m# at revision # in # ms
                  read latencies are medians of 300 sequential reads
  ✓ 600 reads returned the value just written, none an older one

A listing under concurrent writes shows one revision
  written         10,000 keys in # ms, 100 in a transaction
  listed          # pages, all at revision #
  meanwhile       # keys overwritten, deleted or added
  ✓ 10,000 keys: 0 missing, 0 too many or changed

The leader is killed under load
  killed          m#, the leader; writes succeed again after # ms
  reads           #, 0 failed
  acknowledged    # writes, # stored
  effect unknown  # writes(, # stored)?( [(][A-Z_, ]+[)])?
  effect none     # writes(, 0 stored)?( [(][A-Z_, ]+[)])?
  ✓ 0 of # reads failed, # of # outcomes correct

The member restarts
  in rotation     m#, # ms after it started serving
  ✓ m# served # of the next 900 reads

Closed
  ✓ the process exits # ms after close[(][)]; total time # s
`
const pattern = new RegExp(`^${output.replaceAll('#', '[\\d.,]+')}$`)

describe('npm start', () => {
  test('runs the tour', () => {
    const { scripts } = JSON.parse(execFileSync('npm', ['pkg', 'get'], { cwd: root, encoding: 'utf8' }))
    assert.equal(scripts.start, 'tsx examples/tour.ts')
  })

  test('prints each section with its numbers and no colours, and leaves nothing behind', async (t) => {
    const tour = new Tour(t)
    await tour.printed('etcdkit on 3 members')
    assert.deepEqual([tour.members.length, tour.dataFolders.length], [3, 1])
    const { code, stdout, stderr } = await tour.ended
    assert.match(stdout, pattern)
    assert.equal(stderr, '')
    assert.equal(code, 0)
    assert.deepEqual(tour.members, [])
    assert.deepEqual(tour.dataFolders, [])
  })

  test('fails when a member dies unexpectedly', async (t) => {
    const tour = new Tour(t)
    await tour.printed('etcdkit on 3 members')
    const [member = 0] = tour.members
    process.kill(member, 'SIGKILL')
    const { code, stdout } = await tour.ended
    assert.match(stdout, /^ {2}✗ /m)
    assert.equal(code, 1)
    assert.deepEqual([tour.members, tour.dataFolders], [[], []])
  })

  test('fails with the reason when no etcd is available', async (t) => {
    const tour = new Tour(t, { ETCDKIT_ETCD: '/nowhere/etcd' })
    const { code, stdout } = await tour.ended
    assert.match(stdout, /✗ .*ETCDKIT_ETCD is '\/nowhere\/etcd', where no etcd program can be run/)
    assert.equal(code, 1)
  })
})
