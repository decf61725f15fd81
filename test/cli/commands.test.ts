import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { useClient, useCluster } from '../support/cluster.js'
import { within } from '../support/slack.js'
import { type CliOptions, cli, jsonLines } from './run-cli.js'

describe('The command', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)
  const run = (args: readonly string[], options: CliOptions = {}) =>
    cli(args, { endpoints: cluster.endpoints, ...options })
  const output = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await run(args)
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' })
    return stdout
  }

  after(async () => {
    await cluster?.stop()
  })

  test('fails instead of waiting in silence if no member is reached at first', async () => {
    const lines = [
      ['watch', 'a'],
      ['lock', 'a'],
      ['elect', 'a', 'me'],
      ['elect', '--listen', 'a'],
    ]
    const results = await Promise.all(
      lines.map((line) => cli([...line, '--dial-timeout', `${within(500)}ms`], { endpoints: ['127.0.0.1:1'] })),
    )
    for (const { status, stdout, stderr } of results) {
      assert.deepEqual({ status, stdout }, { status: 1, stdout: '' })
      assert.match(stderr, /^error: no member could be reached in time: .*ECONNREFUSED/)
    }
  })

  test('put writes, and get reads what etcdctl reads', async () => {
    assert.equal(await output('put', 'pg/a', 'one'), 'OK\n')
    assert.equal(await output('put', 'pg/b', 'two'), 'OK\n')
    for (const args of [
      ['get', 'pg/a'],
      ['get', 'pg/', '--prefix'],
      ['get', 'pg/a', 'pg/b'],
      ['get', 'pg/', '--prefix', '--print-value-only'],
      ['get', 'pg/', '--prefix', '--order', 'DESCEND', '--sort-by', 'KEY'],
      ['get', 'pg/', '--prefix', '--limit', '1'],
      ['get', 'pg/', '--prefix', '--limit', '0', '--rev', '0'],
    ]) {
      assert.equal(await output(...args), await cluster.etcdctl(...args), args.join(' '))
    }
    assert.equal(await output('get', 'pg/', '--prefix', '--keys-only', '--consistency=s'), 'pg/a\npg/b\n')
    assert.equal(await output('get', 'pg/', '--prefix', '--count-only'), '2\n')
    assert.equal(await output('get', 'pg/none'), '')
  })

  test('get reads an older revision, and reports a compacted one', async () => {
    const { revision } = await etcd.put('rev/a', 'old')
    const newer = await etcd.put('rev/a', 'new')
    assert.equal(await output('get', 'rev/a', '--rev', String(revision)), 'rev/a\nold\n')
    await etcd.compact(newer.revision)
    const { status, stderr } = await run(['get', 'rev/a', '--rev', String(revision)])
    assert.equal(status, 1)
    assert.match(stderr, /^error: .*compacted.* \[COMPACTED at http.*\]\nhint: .*newer revision\n$/)
  })

  test('get prints one object a line, with binary bytes in base64', async () => {
    await etcd.put('json/a', 'text')
    await etcd.put(Buffer.from('json/b\xff', 'latin1'), Buffer.from([0, 255]))
    const [a, b] = jsonLines(await output('get', 'json/', '--prefix', '--json'))
    assert.deepEqual([a?.key, a?.value, a?.version], ['json/a', 'text', 1])
    assert.deepEqual([b?.key, b?.keyBase64, b?.valueBase64], [undefined, 'anNvbi9i/w==', 'AP8='])
    const table = await output('get', 'json/', '--prefix', '-o', 'table')
    assert.match(table, /^KEY +VALUE +CREATED +MODIFIED +VERSION +LEASE\njson\/a +text .*\n0x6a736f6e2f62ff +/)
  })

  test('get reads a range of many pages', async () => {
    for (let from = 0; from < 1200; from += 100) {
      const names = Array.from({ length: 100 }, (_, at) => `many/${String(from + at).padStart(4, '0')}`)
      await Promise.all(names.map((name) => etcd.put(name, '')))
    }
    const keys = (await output('get', 'many/', '--prefix', '--keys-only')).trim().split('\n')
    assert.equal(keys.length, 1200)
    assert.deepEqual(keys, keys.toSorted())
    assert.equal(await output('list', 'many/', '--limit', '700').then((text) => text.trim().split('\n').length), 700)
    await etcd.deleteRange({ prefix: 'many/' })
  })

  test('put takes a value from standard input, byte for byte', async () => {
    const value = Buffer.from([0, 10, 255, 13])
    assert.equal((await run(['put', 'stdin/a'], { input: value })).stdout, 'OK\n')
    assert.deepEqual((await etcd.get('stdin/a'))?.value, value)
  })

  test('put attaches a key to a lease, keeps the lease, and prints the previous value', async () => {
    await output('put', 'ttl/a', 'one', '--ttl', '1m')
    const first = await etcd.get('ttl/a')
    assert.ok(first?.lease)
    const { ttlSeconds = 0 } = (await etcd.lease.timeToLive(first.lease)) ?? {}
    assert.equal(ttlSeconds, 60)
    assert.equal(await output('put', 'ttl/a', 'two', '--ignore-lease', '--prev-kv'), 'OK\nttl/a\none\n')
    assert.equal((await etcd.get('ttl/a'))?.lease, first.lease)
    const [answer] = jsonLines(await output('put', 'ttl/a', '--ignore-value', '--lease', first.lease, '--json'))
    assert.ok(Number(answer?.revision) > first.modRevision)
    assert.equal((await etcd.get('ttl/a'))?.valueText, 'two')
  })

  test('del deletes and counts', async () => {
    await Promise.all(['del/a', 'del/b', 'del/c'].map((key) => etcd.put(key, 'v')))
    assert.equal(await output('del', 'del/a', '--prev-kv'), '1\ndel/a\nv\n')
    assert.equal(await output('del', 'del/', '--prefix'), '2\n')
    const [answer] = jsonLines(await output('del', 'del/', '--prefix', '--json'))
    assert.deepEqual([answer?.deleted, answer?.prevKvs], [0, []])
  })

  test('list prints keys, and more of them on request', async () => {
    await etcd.put('list/a', 'x'.repeat(2048))
    await etcd.put('list/b', '')
    assert.equal(await output('list', 'list/'), 'list/a\nlist/b\n')
    assert.match(await output('list', 'list/', '--long'), /^KEY +SIZE .*\nlist\/a +2 KiB +1 +\d+\nlist\/b +0 B/)
    const [a] = jsonLines(await output('list', 'list/', '-l', '--json'))
    assert.deepEqual([a?.key, a?.valueBytes], ['list/a', 2048])
  })

  test('tree prints branches with keys and bytes', async () => {
    for (const key of ['tree/a/x', 'tree/a/y', 'tree/b', 'tree/c/d/e/f']) await etcd.put(key, '12345')
    const text = await output('tree', 'tree/', '--depth', '2')
    assert.equal(
      text,
      [
        'tree/  4 keys, 54 B',
        '├── a/  2 keys, 26 B',
        '│   ├── x  1 key, 13 B',
        '│   └── y  1 key, 13 B',
        '├── b  1 key, 11 B',
        '└── c/  1 key, 17 B',
        '    └── d/  1 key, 17 B',
        '',
      ].join('\n'),
    )
    const [root] = jsonLines(await output('tree', 'tree/', '--json'))
    assert.deepEqual([root?.keys, root?.bytes], [4, 54])
  })

  test('watch prints changes from a revision on', async () => {
    const { revision } = await etcd.put('watch/a', 'one')
    await etcd.put('watch/a', 'two')
    await etcd.delete('watch/a')
    const args = ['watch', 'watch/', '--prefix', '--rev', String(revision), '--prev-kv', '--count', '3']
    assert.equal(
      await output(...args),
      'PUT\nwatch/a\none\nPUT\nwatch/a\none\nwatch/a\ntwo\nDELETE\nwatch/a\ntwo\nwatch/a\n\n',
    )
    const events = jsonLines(await output(...args, '--json'))
    assert.deepEqual(
      events.map(({ type, key, value }) => [type, key, value]),
      [
        ['put', 'watch/a', 'one'],
        ['put', 'watch/a', 'two'],
        ['delete', 'watch/a', undefined],
      ],
    )
    assert.match(
      await output(...args, '-o', 'table', '--only', 'delete', '--count', '1'),
      /^ +\d+ +delete +watch\/a +\(was two\)\n$/,
    )
  })

  test('snapshot save writes a file', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-cli-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'snap.db')
    const [saved] = jsonLines(await output('snapshot', 'save', path, '--json'))
    assert.equal(saved?.bytes, statSync(path).size)
    const failing = await run(['snapshot', 'save', join(folder, 'none', 'snap.db')])
    assert.equal(failing.status, 1)
    assert.match(failing.stderr, /^error: ENOENT/)
  })

  test("fails with the library's error and a hint", async () => {
    const { status, stdout, stderr } = await cli([
      'get',
      'a',
      '--endpoints',
      'http://127.0.0.1:1',
      '--dial-timeout=500ms',
    ])
    assert.deepEqual({ status, stdout }, { status: 1, stdout: '' })
    assert.match(
      stderr,
      /^error: no member could be reached .*ECONNREFUSED.*\[NOT_CONNECTED\]\nhint: check --endpoints/,
    )
    const asJson = await cli(['get', 'a', '--endpoints', 'http://127.0.0.1:1', '--dial-timeout=500ms', '--json'])
    const [{ error } = {}] = jsonLines(asJson.stderr) as { error?: Record<string, unknown> }[]
    assert.deepEqual([error?.code, error?.effect], ['NOT_CONNECTED', 'none'])
  })

  test('uses colours on a terminal, unless they are disabled', async () => {
    const isColoured = async (env: Record<string, string>, isTTY: boolean): Promise<boolean> =>
      (await run(['list', 'list/', '-l'], { env, isTTY })).stdout.includes('\u001b[')
    assert.equal(await isColoured({}, true), true)
    assert.equal(await isColoured({ NO_COLOR: '1' }, true), false)
    assert.equal(await isColoured({ TERM: 'dumb' }, true), false)
    assert.equal(await isColoured({}, false), false)
  })
})
