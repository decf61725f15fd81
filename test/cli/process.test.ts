import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { after, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { poll } from '../../src/testing/index.js'
import { useClient, useCluster } from '../support/cluster.js'
import { CliProcess } from './run-cli.js'

describe('The program', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)

  after(async () => {
    await cluster?.stop()
  })

  const start = (...args: string[]): CliProcess => new CliProcess(args, { endpoints: cluster.endpoints })
  const says = (program: CliProcess, text: string): Promise<unknown> =>
    poll(`it says ${text}`, async () => (program.stdout.includes(text) ? true : undefined))

  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    test(`ends a watch gracefully on ${signal}, with status ${status}`, async () => {
      await etcd.put(`end/${signal}`, 'here')
      const program = start('watch', `end/${signal}`, '--rev', '1')
      await says(program, 'here')
      program.child.kill(signal)
      assert.equal(await program.end(), status)
      assert.equal(program.stderr, '')
    })
  }

  test('releases a lock when it is terminated', async () => {
    const program = start('lock', 'given-back')
    await says(program, 'given-back/')
    assert.equal(await etcd.count({ prefix: 'given-back/' }), 1)
    program.child.kill('SIGINT')
    assert.equal(await program.end(), 130)
    assert.equal(await etcd.count({ prefix: 'given-back/' }), 0)
  })

  test('leaves no key when it is terminated while it waits for a lock', async () => {
    await using _held = await etcd.lock('waited-for')
    const program = start('lock', 'waited-for')
    await poll('it is in the queue', async () =>
      (await etcd.count({ prefix: 'waited-for/' })) === 2 ? true : undefined,
    )
    program.child.kill('SIGTERM')
    assert.equal(await program.end(), 143)
    assert.equal(await etcd.count({ prefix: 'waited-for/' }), 1)
  })

  test('runs a command under a lock, passes the fence to it, and exits with its status', async () => {
    const script = 'echo "$ETCD_LOCK_KEY $ETCD_LOCK_REV"; exit 7'
    const program = start('lock', 'exec', '--ttl', '5s', 'sh', '-c', script)
    assert.equal(await program.end(), 7)
    assert.match(program.stdout, /^exec\/[0-9a-f]+ \d+\n$/)
    assert.equal(await etcd.count({ prefix: 'exec/' }), 0)
    assert.equal(await start('lock', 'exec', 'sh', '-c', 'kill -KILL $$').end(), 137)
    const missing = start('lock', 'exec', '/no/such/program')
    assert.equal(await missing.end(), 1)
    assert.match(missing.stderr, /^error: \/no\/such\/program cannot be started/)
  })

  test('ends the command when the lock is lost', async () => {
    const program = start(
      'lock',
      'lost',
      '--kill-after',
      '300ms',
      'sh',
      '-c',
      "trap '' TERM; echo running; for i in $(seq 100); do sleep 0.1; done; echo survived",
    )
    await says(program, 'running')
    const [key] = (await etcd.range({ prefix: 'lost/' })).kvs
    await etcd.lease.revoke(String(key?.lease))
    assert.equal(await program.end(), 1)
    assert.match(program.stderr, /^error: lock "lost" was lost/)
    assert.equal(program.stdout, 'running\n')
  })

  test('forwards SIGTERM to the command and releases the lock afterwards', async () => {
    const program = start(
      'lock',
      'passed',
      'sh',
      '-c',
      "trap 'echo bye; exit 5' TERM; echo running; for i in $(seq 100); do sleep 0.1; done",
    )
    await says(program, 'running')
    program.child.kill('SIGTERM')
    assert.equal(await program.end(), 5)
    assert.match(program.stdout, /bye/)
    assert.equal(await etcd.count({ prefix: 'passed/' }), 0)
  })

  test('queues with etcdctl for a lock', async () => {
    const theirs = cluster.etcdctl('lock', 'shared', '--', 'sh', '-c', 'sleep 0.5; echo theirs; date +%s%N')
    await poll('etcdctl has it', async () => ((await etcd.count({ prefix: 'shared/' })) === 1 ? true : undefined))
    const ours = start('lock', 'shared', 'date', '+%s%N')
    assert.equal(await ours.end(), 0)
    const [, at] = (await theirs).trim().split('\n')
    assert.ok(BigInt(ours.stdout.trim()) >= BigInt(String(at)))
  })

  test('campaigns in an election, and prints the leader', async () => {
    const leader = start('elect', 'vote', 'me')
    await says(leader, 'me')
    const observer = start('elect', '--listen', 'vote')
    await says(observer, 'me')
    leader.child.kill('SIGINT')
    assert.equal(await leader.end(), 130)
    assert.equal(await etcd.count({ prefix: 'vote/' }), 0)
    observer.child.kill('SIGINT')
    assert.equal(await observer.end(), 130)
  })

  test('runs a command for each change of a watch', async () => {
    const { revision } = await etcd.put('hook/a', 'one\n')
    await etcd.delete('hook/a')
    const script = `printf '%s\\n' "$ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE"; exit 3`
    const args = ['--rev', String(revision), '--count', '2', '-o', 'table', '--', 'sh', '-c', script]
    const program = start('watch', 'hook/a', ...args)
    assert.equal(await program.end(), 0)
    assert.match(program.stdout, /"PUT" "hook\/a" "one\\n"\n.*"DELETE" "hook\/a" ""\n/s)
    assert.equal(program.stderr, 'sh exited with 3\nsh exited with 3\n')
  })

  test('starts no command for further changes of an interrupted watch', async () => {
    const { revision } = await etcd.put('stopped/a', '')
    for (const value of ['b', 'c', 'd']) await etcd.put('stopped/a', value)
    const args = ['--rev', String(revision), '--', 'sh', '-c', 'echo running; exec sleep 6']
    const program = start('watch', 'stopped/a', ...args)
    await says(program, 'running')
    program.child.kill('SIGTERM')
    assert.equal(await program.end(), 143)
    assert.equal(program.stdout.match(/running/g)?.length, 1)
  })

  for (const args of [['get', 'full'], ['--help']]) {
    test(`reports a full disk, with status 1: ${args.join(' ')}`, { skip: !existsSync('/dev/full') }, async () => {
      await etcd.put('full', 'value')
      const disk = openSync('/dev/full', 'w')
      const program = new CliProcess(args, { endpoints: cluster.endpoints }, disk)
      assert.equal(await program.end(), 1)
      closeSync(disk)
      assert.match(program.stderr, /^error: standard output cannot be written: ENOSPC.*\n$/)
    })
  }

  test('keeps its status when nobody reads its messages', async () => {
    const program = start('no-such-command')
    program.child.stderr?.destroy()
    assert.equal(await program.end(), 2)
  })

  test('mirrors keys until it is interrupted', async () => {
    await etcd.put('source/a', 'one')
    const [destination = ''] = cluster.endpoints
    const program = start('make-mirror', destination, '--prefix', 'source/', '--dest-prefix', 'copy/')
    await says(program, 'synced at revision')
    await etcd.put('source/b', 'two')
    await poll('the change is copied', async () => ((await etcd.get('copy/b'))?.valueText === 'two' ? true : undefined))
    assert.equal((await etcd.get('copy/a'))?.valueText, 'one')
    program.child.kill('SIGINT')
    assert.equal(await program.end(), 130)
    assert.equal(program.stderr, '')
  })

  test('exits quietly when its output is closed', async () => {
    await etcd.put('pipe/a', 'x'.repeat(500_000))
    const line = `${process.execPath} --import tsx src/cli/bin.ts get pipe/a; echo "status $?" >&2`
    const env = { ...process.env, ETCDCTL_ENDPOINTS: cluster.endpoints.join(',') }
    const { stdout, stderr } = await promisify(execFile)('sh', ['-c', `{ ${line}; } | head -c 5`], { env })
    assert.deepEqual({ stdout, stderr }, { stdout: 'pipe/', stderr: 'status 0\n' })
  })
})
