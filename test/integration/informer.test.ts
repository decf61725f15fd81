import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { type Change, deleteKey, type Etcd, type Informer, isEtcdError, json, put } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { runScript } from '../support/child.js'
import { useCluster } from '../support/cluster.js'
import { createClient, fill, uniquePrefix } from '../support/fixtures.js'

interface Service {
  readonly zone: string
  readonly port: number
}

/** A change in a word: `+key=value`, `~key=old>value`, `-key=old`. */
function inShort({ type, keyText, value, old }: Change<unknown>): string {
  if (type === 'add') return `+${keyText}=${value}`
  return type === 'update' ? `~${keyText}=${old.value}>${value}` : `-${keyText}=${old?.value}`
}

/** An informer that closes itself before its client does. */
async function ready<T, Name extends string>(t: TestContext, informer: Informer<T, Name>): Promise<Informer<T, Name>> {
  t.after(() => informer.close())
  await informer.ready()
  return informer
}

describe('An informer', () => {
  const cluster = useCluster({ members: 3 })

  /** A separate keyspace, so that tests do not see each other. */
  function createSpace(t: TestContext): { etcd: Etcd; space: ReturnType<Etcd['namespace']> } {
    const etcd = createClient(t, cluster)
    return { etcd, space: etcd.namespace(uniquePrefix()) }
  }

  test('answers all reads from memory, as of one revision', async (t) => {
    const { space } = createSpace(t)
    for (const name of ['a', 'b', 'c', 'd']) await space.put(`k/${name}`, name)
    const lease = await space.put('k/b', 'again')
    const informer = await ready(t, space.informer({ prefix: 'k/' }))
    assert.equal(informer.revision, lease.revision)
    assert.deepEqual(
      [informer.get('k/a'), informer.get(Buffer.from('k/d')), informer.get('k/x')],
      ['a', 'd', undefined],
    )
    const entry = informer.entry('k/b')
    assert.deepEqual([entry?.keyText, entry?.value, entry?.version, entry?.lease], ['k/b', 'again', 2, undefined])
    assert.deepEqual([entry?.modRevision, entry?.createRevision], [lease.revision, lease.revision - 3])
    assert.deepEqual([informer.has('k/c'), informer.has('k/x'), informer.size], [true, false, 4])
    assert.deepEqual(
      informer.list().map(({ value }) => value),
      ['a', 'again', 'c', 'd'],
    )
    assert.deepEqual(
      informer.range('k/b', 'k/d').map(({ value }) => value),
      ['again', 'c'],
    )
    assert.deepEqual(
      informer.range('k/c').map(({ value }) => value),
      ['c', 'd'],
    )
    const snapshot = informer.snapshot()
    const { revision } = await space.put('k/a', 'new')
    await informer.waitForRevision(revision)
    assert.deepEqual([informer.get('k/a'), snapshot.get('k/a')?.value, snapshot.revision], ['new', 'a', lease.revision])
    assert.ok(cluster.endpoints.includes(String(informer.stats().endpoint)))
    const { state, size, resyncs, reconnects, invalid, handlers } = informer.stats()
    assert.deepEqual([state, size, resyncs, reconnects, invalid, handlers], ['watching', 4, 0, 0, 0, []])
  })

  test('lists any number of keys at one revision while they change', async (t) => {
    const { space } = createSpace(t)
    await fill(space, 3000)
    const informer = space.informer({ from: '0' }, { maxPageSize: 250 })
    t.after(() => informer.close())
    let last = 0
    for (let round = 0; round < 20; round += 1) last = (await space.put('000001', String(round))).revision
    await informer.ready()
    await informer.waitForRevision(last)
    assert.deepEqual([informer.size, informer.get('000001'), informer.get('002999')], [3000, '19', 'value'])
  })

  test('emits existing entries and then changes to handlers, with old values, by type', async (t) => {
    const { space } = createSpace(t)
    await space.put('k/a', '1')
    const informer = space.informer({ prefix: 'k/' })
    t.after(() => informer.close())
    const received: string[] = []
    for (const type of ['add', 'update', 'delete', 'change'] as const) {
      informer.on(type, (change: Change<string>) =>
        received.push(`${type} ${inShort(change)} ${change.initial} ${change.source}`),
      )
    }
    await informer.ready()
    await space.put('k/b', '1')
    await space.put('k/a', '2')
    await space.put('outside', '1')
    const { revision } = await space.delete('k/b')
    await poll('all changes are received', () => received.length === 8 || undefined)
    assert.deepEqual(
      received.filter((line) => !line.startsWith('change')),
      ['add +k/a=1 true list', 'add +k/b=1 false watch', 'update ~k/a=1>2 false watch', 'delete -k/b=1 false watch'],
    )
    assert.deepEqual(
      received.filter((line) => line.startsWith('change')).map((line) => line.split(' ')[1]),
      ['+k/a=1', '+k/b=1', '~k/a=1>2', '-k/b=1'],
    )
    const late: Change<string>[] = []
    const subscription = informer.subscribe((change) => late.push(change))
    await subscription.ready
    assert.deepEqual(
      late.map((change) => [inShort(change), change.initial]),
      [['+k/a=2', true]],
    )
    subscription.close()
    await informer.waitForRevision((await space.put('k/a', '3')).revision)
    assert.equal(late.length, 1)
    assert.ok(informer.revision > revision)
  })

  test('stores a whole transaction before any handler is called', async (t) => {
    const { space } = createSpace(t)
    await space.put('k/old', '1')
    const informer = await ready(t, space.informer({ prefix: 'k/' }))
    const seen: unknown[] = []
    await informer.subscribe(({ initial, revision }) => {
      if (!initial)
        seen.push([
          informer.revision === revision,
          informer
            .list()
            .map(({ keyText }) => keyText)
            .join(),
        ])
    }).ready
    const names = Array.from({ length: 20 }, (_, index) => `k/${String(index).padStart(2, '0')}`)
    const { revision } = await space
      .txn()
      .then(deleteKey('k/old'), ...names.map((name) => put(name, '1')))
      .commit()
    await informer.waitForRevision(revision)
    await poll('all changes are received', () => seen.length === 21 || undefined)
    assert.deepEqual(seen, Array(21).fill([true, names.join()]))
  })

  test('shows an acknowledged write after waitForRevision(), also when its range is idle', async (t) => {
    const { etcd, space } = createSpace(t)
    const informer = await ready(t, space.informer({ prefix: 'k/' }))
    for (let round = 0; round < 50; round += 1) {
      const { revision } = await space.put('k/a', String(round))
      await informer.waitForRevision(revision)
      assert.equal(informer.get('k/a'), String(round))
    }
    for (let round = 0; round < 10; round += 1) {
      const { revision } = await etcd.put('elsewhere', String(round))
      await informer.waitForRevision(revision)
      assert.ok(informer.revision >= revision)
    }
    await assert.rejects(informer.waitForRevision(informer.revision + 1000, { timeoutMs: 250 }), {
      code: 'DEADLINE_EXCEEDED',
    })
    assert.equal(informer.stats().resyncs, 0)
  })

  test("reads another client's latest write with fresh reads", async (t) => {
    const prefix = uniquePrefix()
    const [reader, writer] = [createClient(t, cluster), createClient(t, cluster)]
    const informer = await ready(t, reader.informer({ prefix }))
    for (let round = 0; round < 30; round += 1) {
      await writer.put(`${prefix}a`, String(round))
      assert.equal(await informer.getFresh(`${prefix}a`), String(round))
      assert.equal(informer.get(`${prefix}a`), String(round))
    }
    await writer.delete(`${prefix}a`)
    assert.equal(await informer.getFresh(`${prefix}a`), undefined)
  })

  test('finds entries by index and applies filter and transform', async (t) => {
    const { space } = createSpace(t)
    const write = (name: string, service: Service) => space.put(`svc/${name}`, JSON.stringify(service))
    await write('a', { zone: 'x', port: 1 })
    await write('b', { zone: 'y', port: 2 })
    const informer = await ready(
      t,
      space.informer(
        { prefix: 'svc/' },
        {
          codec: json<Service>(),
          filter: ({ port }) => port > 0,
          transform: ({ zone, port }) => ({ zone: zone.toUpperCase(), port }),
          indexes: { zone: ({ zone }) => zone, port: ({ port }) => [String(port), port % 2 === 0 ? 'even' : 'odd'] },
        },
      ),
    )
    const names = (entries: readonly { readonly keyText: string }[]) => entries.map(({ keyText }) => keyText)
    assert.deepEqual([names(informer.by('zone', 'X')), names(informer.by('port', 'even'))], [['svc/a'], ['svc/b']])
    await write('a', { zone: 'y', port: 4 })
    const { revision } = await write('b', { zone: 'y', port: 0 })
    await informer.waitForRevision(revision)
    assert.deepEqual([informer.terms('zone'), informer.terms('port').sort()], [['Y'], ['4', 'even']])
    assert.deepEqual([names(informer.by('zone', 'Y')), informer.size], [['svc/a'], 1])
  })

  test('reports a value that does not decode, keeps the last good one and continues', async (t) => {
    const { space } = createSpace(t)
    await space.put('svc/a', '{"zone":"x","port":1}')
    await space.put('svc/b', 'not json')
    const informer = space.informer({ prefix: 'svc/' }, { codec: json<Service>() })
    t.after(() => informer.close())
    const received: string[] = []
    informer.on('invalid', ({ keyText, value, error }) =>
      received.push(`${keyText} ${value} ${(error as { code: string }).code}`),
    )
    await informer.ready()
    const { revision } = await space.put('svc/a', '{')
    await informer.waitForRevision(revision)
    assert.deepEqual(received, ['svc/b not json DECODE_FAILED', 'svc/a { DECODE_FAILED'])
    assert.deepEqual([informer.get('svc/a')?.port, informer.get('svc/b')], [1, undefined])
    assert.deepEqual(
      informer.invalid().map(({ keyText }) => keyText),
      ['svc/b', 'svc/a'],
    )
    await informer.waitForRevision((await space.put('svc/a', '{"zone":"x","port":2}')).revision)
    assert.deepEqual([informer.get('svc/a')?.port, informer.stats().invalid], [2, 1])
  })

  test('follows one key as a value', async (t) => {
    const { space } = createSpace(t)
    const value = space.value('flag', json<{ on: boolean }>())
    t.after(() => value.close())
    const received: unknown[] = []
    const errors: unknown[] = []
    value.onChange((now, old) => received.push([now?.on, old?.on]))
    value.onError((error) => errors.push(error))
    assert.equal(await value.ready(), undefined)
    await space.put('flag', '{"on":true}')
    await space.put('flag/other', '{"on":false}')
    await space.put('flag', 'neither')
    await space.put('flag', '{"on":false}')
    const { revision } = await space.delete('flag')
    await value.waitForRevision(revision)
    await poll('all changes are received', () => received.length === 3 || undefined)
    assert.deepEqual(received, [
      [true, undefined],
      [false, true],
      [undefined, false],
    ])
    assert.deepEqual([value.current, value.entry, errors.length], [undefined, undefined, 1])
  })

  test('reports that a value which the codec cannot read exists', async (t) => {
    const { space } = createSpace(t)
    await space.put('flag', 'neither')
    const value = space.value('flag', json<{ on: boolean }>())
    t.after(() => value.close())
    await assert.rejects(value.ready(), (error) => {
      assert.ok(isEtcdError(error, 'DECODE_FAILED') && error.cause instanceof SyntaxError)
      return /the value of "flag": not valid JSON/.test(error.message)
    })
    assert.deepEqual([value.current, value.invalid?.value.toString()], [undefined, 'neither'])
    const own = space.value('flag', { encode: Buffer.from, decode: () => assert.fail('odd') })
    t.after(() => own.close())
    await assert.rejects(own.ready(), { code: 'DECODE_FAILED', rawMessage: 'the value of "flag" cannot be read: odd' })
    await value.waitForRevision((await space.put('flag', '{"on":true}')).revision)
    assert.deepEqual([await value.ready(), value.invalid], [{ on: true }, undefined])
    await value.waitForRevision((await space.put('flag', '')).revision)
    // The last one that could be read.
    assert.deepEqual([await value.ready(), value.invalid?.keyText], [{ on: true }, 'flag'])
  })

  test('yields its changes as an iteration, each from the beginning', async (t) => {
    const { space } = createSpace(t)
    const { revision: first } = await space.put('k/a', '1')
    await space.put('k/a', '2')
    await space.put('k/gone', '1')
    const informer = await ready(t, space.informer({ prefix: 'k/' }))
    const streams = (['initial', 'now', first] as const).map((from) => informer.events({ from }))
    const words = streams.map(async (stream) => {
      const found: string[] = []
      for await (const change of stream) {
        found.push(inShort(change))
        if (change.keyText === 'k/end') break
      }
      return found.join(' ')
    })
    await poll('all have begun', () => informer.stats().handlers.length === 3 || undefined)
    await space.delete('k/gone')
    await space.put('k/end', '1')
    assert.deepEqual(await Promise.all(words), [
      '+k/a=2 +k/gone=1 -k/gone=1 +k/end=1',
      '-k/gone=1 +k/end=1',
      '~k/a=1>2 +k/gone=1 -k/gone=1 +k/end=1',
    ])
    assert.deepEqual(informer.stats().handlers, [])
    const rest = informer.events({ from: 'now' })
    const next = rest.next()
    await informer.close()
    assert.deepEqual(await next, { value: undefined, done: true })
  })

  test('stays within its namespace, with keys relative to it', async (t) => {
    const { etcd } = createSpace(t)
    const prefix = uniquePrefix()
    const [inside, beside] = [etcd.namespace(`${prefix}in/`), etcd.namespace(`${prefix}in`)]
    await inside.put('a', '1')
    await beside.put('-not', '1')
    const informer = await ready(t, inside.informer({ from: 'a' }))
    await beside.put('-neither', '1')
    await informer.waitForRevision((await inside.put('b', '1')).revision)
    assert.deepEqual(
      informer.list().map(({ keyText }) => keyText),
      ['a', 'b'],
    )
  })

  test('ends with close() and lets the process exit', async () => {
    const { code, stdout, stderr } = await runScript(
      `import { Etcd } from './src/index.ts'
       const etcd = new Etcd({ endpoints: process.env.ENDPOINTS })
       await etcd.put('exit/a', '1')
       const informer = etcd.informer({ prefix: 'exit/' })
       const value = etcd.value('exit/a')
       informer.on('change', ({ keyText }) => console.log(keyText))
       await Promise.all([informer.ready(), value.ready()])
       setTimeout(async () => { await informer.close(); await value.close(); await etcd.close() }, 50)
       for await (const { keyText } of informer.events()) console.log('iterated', keyText)
       console.log('over')`,
      { ENDPOINTS: cluster.endpoints.join() },
    )
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
    assert.deepEqual(stdout.trim().split('\n').sort(), ['exit/a', 'iterated exit/a', 'over'])
  })

  test('fails with its client, emits that and ends iterations', async (t) => {
    const { etcd, space } = createSpace(t)
    const informer = await ready(t, space.informer({ from: 'a' }))
    const errors: unknown[] = []
    informer.on('error', ({ error, terminal }) => errors.push([(error as { code: string }).code, terminal]))
    const next = informer.events({ from: 'now' }).next()
    await etcd.close()
    await assert.rejects(next, { code: 'CLOSED' })
    assert.deepEqual(errors, [['CLOSED', true]])
  })
})

describe('An informer without read permission', () => {
  const cluster = useCluster({ auth: { rootPassword: 'root' } })

  test('fails permanently, once', async (t) => {
    const root = createClient(t, cluster, { auth: { username: 'root', password: 'root' } })
    await root.auth.users.add('nobody', 'pw')
    const nobody = createClient(t, cluster, { auth: { username: 'nobody', password: 'pw' } })
    const informer = nobody.informer({ prefix: 'secret/' })
    const errors: unknown[] = []
    informer.on('error', ({ error, terminal }) => errors.push([(error as { code: string }).code, terminal]))
    await assert.rejects(informer.ready(), { code: 'PERMISSION_DENIED' })
    assert.deepEqual(errors, [['PERMISSION_DENIED', true]])
    assert.equal(informer.stats().state, 'failed')
    await assert.rejects(nobody.value('secret/a').ready(), { code: 'PERMISSION_DENIED' })
  })
})

describe('An informer on a member with unreliable progress notifications', () => {
  const cluster = useCluster({ version: '3.4.23' })

  test('learns its revision by a read, without listing again', async (t) => {
    const etcd = createClient(t, cluster)
    await etcd.put('k/a', '1')
    await etcd.put('k/b', '1')
    const informer = await ready(t, etcd.informer({ prefix: 'k/' }, { filter: (value) => value !== 'hidden' }))
    for (const change of [
      () => etcd.put('elsewhere', '1'),
      () => etcd.delete('k/b'),
      () => etcd.put('elsewhere', '2'),
      () => etcd.put('k/c', 'hidden'),
      () => etcd.put('elsewhere', '3'),
    ]) {
      const { revision } = await change()
      await informer.waitForRevision(revision)
      assert.ok(informer.revision >= revision)
    }
    assert.deepEqual(
      informer.list().map(({ keyText }) => keyText),
      ['k/a'],
    )
    assert.equal(informer.stats().resyncs, 0)
    await etcd.put('elsewhere', '4')
    assert.equal(await informer.getFresh('k/a'), '1')
  })
})
