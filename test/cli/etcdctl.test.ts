import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { useClient, useCluster } from '../support/cluster.js'
import { cli } from './run-cli.js'

const run = promisify(execFile)

/** Fields whose values change from one call to the next. */
const volatile = /"(?:took|raftIndex|raftAppliedIndex|ttl)":(?:"[^"]*"|-?\d+)/g

describe('On one cluster, etcdkit and etcdctl', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)

  const theirs = (...args: string[]): Promise<string> => cluster.etcdctl(...args)
  const ours = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await cli(args, { endpoints: cluster.endpoints })
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, args.join(' '))
    return stdout
  }
  const masked = (text: string): string => text.replace(volatile, (field) => field.replace(/:.*/s, ':0'))

  /** Compares a command that changes nothing. */
  const same = async (...args: string[]): Promise<void> => {
    assert.equal(masked(await ours(...args)), masked(await theirs(...args)), args.join(' '))
  }

  /** Compares a command that changes something, from the same state before both. */
  const sameChange = async (prepare: () => Promise<unknown>, ...args: string[]): Promise<void> => {
    await prepare()
    const expected = await theirs(...args)
    await prepare()
    const revision = /("revision":|"(?:Prev)?(?:Create|Mod)?Revision" : |"(?:create|mod)_revision":)\d+/g
    const [mine, other] = [await ours(...args), expected].map((text) => masked(text).replace(revision, '$10'))
    assert.equal(mine, other, args.join(' '))
  }

  const isBefore = (major: string): boolean => cluster.version.localeCompare(major, undefined, { numeric: true }) < 0

  test('read the same', async () => {
    const { revision } = await etcd.put('r/a', 'one')
    await etcd.put('r/a', 'two & <three>')
    await etcd.put('r/b', Buffer.from([0, 255, 10]))
    const lease = await etcd.lease.grant(600, { keepAlive: false })
    await etcd.put('r/c', 'leased', { lease: lease.id })
    for (const form of ['json', 'fields', 'simple']) {
      await same('get', 'r/a', '-w', form)
      await same('get', 'r/none', '-w', form)
      await same('get', 'r/', '--prefix', '--write-out', form)
      await same('get', 'r/a', 'r/c', `--write-out=${form}`)
      await same('get', 'r/a', '--rev', String(revision), '-w', form)
      await same('get', 'r/', '--prefix', '--limit=2', '-w', form)
      await same('get', 'r/', '--prefix', '--sort-by=MODIFY', '--order=DESCEND', '-w', form)
      await same('get', 'r/b', '--from-key', '--consistency=s', '-w', form)
    }
    await same('get', 'r/', '--prefix', '--keys-only', '-w', 'json')
    await same('get', 'r/', '--prefix=true', '--print-value-only')
    await same('get', 'r/b', '--hex')
    if (!isBefore('3.5')) await same('get', 'r/', '--prefix', '--count-only', '-w', 'fields')
  })

  test('write the same', async () => {
    const prepare = async (): Promise<void> => {
      await etcd.deleteRange({ prefix: 'w/' })
      for (const key of ['w/a', 'w/b', 'w/c']) await etcd.put(key, 'before')
    }
    const lease = (await etcd.lease.grant(600, { keepAlive: false })).id
    for (const form of ['json', 'fields', 'simple']) {
      await sameChange(prepare, 'put', 'w/a', 'after', '-w', form)
      await sameChange(prepare, 'put', 'w/a', 'after', '--prev-kv', '-w', form)
      await sameChange(prepare, 'put', 'w/new', 'after', '--prev-kv', '-w', form)
      await sameChange(prepare, 'put', 'w/a', '--ignore-value', '--lease', lease, '-w', form)
      await sameChange(prepare, 'put', 'w/a', 'after', '--ignore-lease', '-w', form)
      await sameChange(prepare, 'del', 'w/none', '-w', form)
      await sameChange(prepare, 'del', 'w/a', '--prev-kv', '-w', form)
      await sameChange(prepare, 'del', 'w/', '--prefix', '--prev-kv', '-w', form)
      // etcdctl 3.7 waits two seconds before it deletes a range without --range.
      if (isBefore('3.7')) await sameChange(prepare, 'del', 'w/b', 'w/d', '-w', form)
    }
  })

  test('commit the same transactions', async () => {
    const texts = [
      'value("t/a") = "before"\nver("t/a") > "0"\n\nput t/b "two words" --prev-kv\nget t/a\n\ndel t/a\n\n',
      'mod("t/a") = "0"\n\nput t/b x\n\nget t/ --prefix\ndel t/a --prev-kv\nput t/c "\\ttab"\n\n',
      'create("t/none") = "0"\nver("t\\x2fa") < "9"\n\n\n\n',
    ]
    for (const text of texts) {
      for (const form of ['json', 'simple']) {
        const outputs: string[] = []
        for (const program of ['etcdctl', 'etcdkit']) {
          await etcd.deleteRange({ prefix: 't/' })
          await etcd.put('t/a', 'before')
          await etcd.put('t/b', 'before')
          const args = ['txn', '-w', form]
          outputs.push(program === 'etcdctl' ? await etcdctlWith(text, args) : await oursWith(text, args))
        }
        const [expected, actual] = outputs.map((output) =>
          output
            .replace(/"((?:mod_|create_)?revision|version)":\d+/g, '"$1":0')
            .replace(/Response(Put|Range|DeleteRange)"/g, other),
        )
        assert.equal(actual, expected, text)
      }
    }
  })

  /** etcdctl 3.4 names the results of a transaction differently. */
  const other = (_: string, name: string): string =>
    `response_${name === 'DeleteRange' ? 'delete_range' : name.toLowerCase()}"`

  const etcdctlWith = async (input: string, args: readonly string[]): Promise<string> => {
    const env = { ...process.env, ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: cluster.endpoints.join(',') }
    const running = run(String(cluster.binary.etcdctl), [...args], { env })
    running.child.stdin?.end(input)
    return (await running).stdout
  }
  const oursWith = async (input: string, args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await cli(args, { endpoints: cluster.endpoints, input })
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' })
    return stdout
  }

  test('show the same leases', async () => {
    const id = (await etcd.lease.grant(600, { keepAlive: false })).id
    await etcd.put('l/a', '', { lease: id })
    const remaining = /remaining\(\d+s\)|"TTL" : \d+/g
    for (const form of ['json', 'fields', 'simple']) {
      for (const args of [
        ['lease', 'timetolive', id],
        ['lease', 'timetolive', id, '--keys'],
        ['lease', 'timetolive', '1f'],
        ['lease', 'list'],
        ['lease', 'keep-alive', '--once', id],
      ]) {
        const [mine, expected] = [await ours(...args, '-w', form), await theirs(...args, '-w', form)].map((text) =>
          masked(text).replace(remaining, 'remaining'),
        )
        assert.equal(mine, expected, args.join(' '))
      }
    }
    const granted = (text: string): string => text.replace(/"ID":\d+|lease [0-9a-f]{16}/, 'ID')
    for (const form of ['json', 'simple']) {
      const args = ['lease', 'grant', '60', '-w', form]
      assert.equal(granted(await ours(...args)), granted(await theirs(...args)))
    }
    assert.equal(await ours('lease', 'revoke', id), `lease ${id.padStart(16, '0')} revoked\n`)
  })

  test('show the same members and endpoints', async () => {
    for (const form of ['json', 'simple']) await same('member', 'list', '-w', form)
    for (const command of ['status', 'hashkv', 'health']) {
      await same('endpoint', command, '-w', 'json')
      await same('endpoint', command, '--cluster', '-w', 'json')
    }
    await same('endpoint', 'hashkv', '-w', 'simple')
    await same('alarm', 'list')
    // etcdctl 3.4 prints no header for an empty list of alarms.
    if (!isBefore('3.5')) await same('alarm', 'list', '-w', 'json')
    if (!isBefore('3.6')) {
      await same('endpoint', 'status')
      await same('endpoint', 'status', '-w', 'table')
      for (const form of ['fields', 'table']) await same('member', 'list', '-w', form)
      await same('member', 'list', '--hex', '-w', 'json')
    }
  })

  test('add, update and remove the same members', async () => {
    const outputs: string[] = []
    for (const [at, call] of [theirs, ours].entries()) {
      // The ID of a member is a hash of its URLs and the second.
      const address = `http://127.0.0.1:${at + 1}`
      const added = await call('member', 'add', 'new', `--peer-urls=${address}`, '--learner')
      const { id = '' } = (await etcd.cluster.list()).find(({ isStarted }) => !isStarted) ?? {}
      const updated = await call('member', 'update', id, '--peer-urls=http://127.0.0.1:10')
      outputs.push(
        [added, updated, await call('member', 'remove', id)]
          .join('')
          .replaceAll(id, 'ID')
          .replace(new RegExp(`${address}\\b`, 'g'), 'URL')
          .replace(' as learner', ''),
      )
    }
    // The order of the members in ETCD_INITIAL_CLUSTER is the order of random IDs.
    const [expected, actual] = outputs.map((text) =>
      text
        .replace(/INITIAL_CLUSTER="(.*)"/, (_, list: string) => list.split(',').sort().join(','))
        .replace(/ +ID/g, ' ID'),
    )
    assert.equal(actual, expected)
  })

  test('manage the same users and roles', async () => {
    const tasks: readonly string[][] = [
      ['user', 'add', 'ann:secret'],
      ['user', 'add', 'bob', '--no-password', '-w', 'json'],
      ['role', 'add', 'reader'],
      ['role', 'grant-permission', 'reader', 'read', 'app/', '--prefix'],
      ['role', 'grant-permission', 'reader', 'readwrite', 'k', '-w', 'json'],
      ['role', 'grant-permission', 'reader', 'write', 'a', 'b'],
      ['role', 'grant-permission', 'reader', 'write', 'x', '--from-key'],
      ['user', 'grant-role', 'ann', 'reader'],
      ['user', 'get', 'ann'],
      ['user', 'get', 'ann', '-w', 'json'],
      ['user', 'get', 'ann', '--detail'],
      ['role', 'get', 'reader'],
      ['role', 'get', 'reader', '-w', 'json'],
      ['user', 'list'],
      ['user', 'list', '-w', 'json'],
      ['role', 'list', '-w', 'json'],
      ['role', 'revoke-permission', 'reader', 'k'],
      ['role', 'revoke-permission', 'reader', 'app/', '--prefix'],
      ['role', 'revoke-permission', 'reader', 'a', 'b'],
      ['user', 'revoke-role', 'ann', 'reader'],
      ['role', 'delete', 'reader'],
      ['user', 'delete', 'ann'],
      ['user', 'delete', 'bob', '-w', 'json'],
    ]
    const outputs = [theirs, ours].map(() => [] as string[])
    for (const [at, call] of [theirs, ours].entries()) {
      for (const task of tasks) outputs[at]?.push(`${task.join(' ')}\n${await call(...task)}`)
    }
    assert.deepEqual(outputs[1], outputs[0])
    if (!isBefore('3.5')) for (const form of ['json', 'simple']) await same('auth', 'status', '-w', form)
  })

  test('print the same events of a watch', async () => {
    const { revision } = await etcd.put('e/a', 'one')
    await etcd.put('e/a', 'two')
    await etcd.delete('e/a')
    const args = ['watch', 'e/', '--prefix', '--rev', String(revision), '--prev-kv', '-w', 'json']
    const mine = (await ours(...args, '--count', '3'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    const env = { ...process.env, ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: cluster.endpoints.join(',') }
    const watching = run(String(cluster.binary.etcdctl), args, { env })
    const [first] = await new Promise<string[]>((resolve) => {
      let text = ''
      watching.child.stdout?.on('data', (piece) => {
        text += piece
        if (text.includes('\n')) resolve(text.split('\n'))
      })
    })
    watching.child.kill()
    await watching.catch(() => {})
    assert.deepEqual(
      mine.flatMap(({ Events }) => Events),
      JSON.parse(first ?? '').Events,
    )
  })

  test('report an endpoint that does not answer, and etcdkit exits with 3', async () => {
    const silent = 'http://127.0.0.1:1'
    for (const command of ['status', 'health', 'hashkv']) {
      const endpoints = [...cluster.endpoints, silent]
      const { status, stdout, stderr } = await cli(['endpoint', command], { endpoints })
      assert.equal(status, 3)
      assert.ok(stdout.includes(cluster.endpoints[0] ?? ''))
      assert.match(stderr, /http:\/\/127.0.0.1:1 .*ECONNREFUSED/)
    }
  })

  test('compact, and refuse to compact again', async () => {
    const { revision } = await etcd.put('c/a', '')
    assert.equal(await ours('compaction', String(revision)), `compacted revision ${revision}\n`)
    const { status, stderr } = await cli(['compact', String(revision)], { endpoints: cluster.endpoints })
    assert.equal(status, 1)
    assert.match(stderr, /compacted/)
    await assert.rejects(theirs('compaction', String(revision)), /compacted/)
    assert.match(await ours('defrag'), /^Finished defragmenting etcd member\[http:.*\]\. took [\d.]+m?s\n$/)
  })
})
