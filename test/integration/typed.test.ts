import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import {
  type Codec,
  type Etcd,
  json,
  put,
  type SchemaIssue,
  type StandardSchema,
  type TypedEvent,
  type TypedKeyspace,
  text,
} from '../../src/index.js'
import { useClient, useCluster } from '../support/cluster.js'
import { attemptRecords, collect, uniquePrefix } from '../support/fixtures.js'

interface User {
  readonly name: string
  readonly age: number
}

/** A schema by hand: what the libraries are tested with is in `test/package/schemas.test.ts`. */
const user: StandardSchema<User> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => {
      const { name, age } = Object(value)
      const issues: SchemaIssue[] = []
      if (typeof name !== 'string') issues.push({ path: ['name'], message: 'must be text' })
      if (typeof age !== 'number') issues.push({ path: [{ key: 'age' }], message: 'must be a number' })
      return issues.length > 0 ? { issues } : { value: { name, age } }
    },
  },
}

const ada: User = { name: 'Ada', age: 36 }
const alan: User = { name: 'Alan', age: 41 }

describe('Typed values', () => {
  const cluster = useCluster()
  const etcd = useClient(cluster)

  function own(): { readonly prefix: string; readonly users: TypedKeyspace<User> } {
    const prefix = uniquePrefix()
    return { prefix, users: etcd.typed(prefix, json(user)) }
  }

  test('are written, read, updated and deleted below the prefix', async () => {
    const { prefix, users } = own()
    const { revision } = await users.put('ada', ada)
    assert.deepEqual(await users.get('ada'), ada)
    assert.equal((await etcd.get(`${prefix}ada`))?.valueText, JSON.stringify(ada))
    const entry = await users.entry('ada')
    assert.deepEqual([entry?.keyText, entry?.value, entry?.modRevision, entry?.version], ['ada', ada, revision, 1])
    assert.deepEqual(await users.get('ada', { revision: revision }), ada)
    assert.equal(await users.get('nobody'), undefined)
    await users.update('ada', (current, { version } = assert.fail()) => ({
      ...(current ?? assert.fail()),
      age: 36 + version,
    }))
    assert.equal((await users.get('ada'))?.age, 37)
    assert.equal((await users.update('ada', () => undefined)).changed, false)
    assert.deepEqual([await users.exists('ada'), await users.count(), await users.count({ prefix: 'b' })], [true, 1, 0])
    const lost = await users.putIf('ada', alan, 0)
    assert.equal(lost.succeeded ? undefined : lost.current?.value.age, 37)
    assert.equal((await users.putIf('alan', alan, 0)).succeeded, true)
    assert.equal((await users.deleteIf('alan', 1)).succeeded, false)
    assert.equal((await users.update('ada', () => null)).changed, true)
    assert.equal((await users.delete('alan')).deleted, 1)
    assert.equal((await users.deleteRange({ prefix: '' })).deleted, 0)
  })

  test('are listed with keys without the prefix', async () => {
    const { users } = own()
    await Promise.all([users.put('ada', ada), users.put('alan', alan), users.put('zoe', { name: 'Zoe', age: 1 })])
    assert.deepEqual(
      (await collect(users.list())).map(({ keyText, value }) => [keyText, value.age]),
      [
        ['ada', 36],
        ['alan', 41],
        ['zoe', 1],
      ],
    )
    assert.deepEqual(
      [...(await users.list({ prefix: 'a' }).toMap())],
      [
        ['ada', ada],
        ['alan', alan],
      ],
    )
    assert.equal((await users.list({ from: 'b' }).first())?.value.name, 'Zoe')
    assert.equal((await users.list({ prefix: 'x' }).toArray()).length, 0)
    assert.match(inspect(users.list({ prefix: 'a' })), /^TypedListing { prefix: 'a' }$/)
  })

  test('that are not valid are never sent', async (t) => {
    const { users } = own()
    const attempts = attemptRecords(t)
    const wrong = { name: 'Ada', age: '36' } as never
    const expected = {
      name: 'InvalidArgumentError',
      message: /the value for "ada" cannot be written: not valid: age: must be a number/,
    }
    await assert.rejects(users.put('ada', wrong), expected)
    await assert.rejects(users.putIf('ada', wrong, 0), expected)
    assert.throws(() => users.ops.put('ada', wrong), expected)
    await assert.rejects(users.put('ada', undefined as never), /must have a JSON form, got undefined/)
    await assert.rejects(users.put('ada', Promise.resolve(ada) as never), { name: 'InvalidArgumentError' })
    assert.deepEqual(
      attempts.map(({ method }) => method),
      [],
    )
    await assert.rejects(
      users.update('ada', () => wrong),
      expected,
    )
    assert.equal(await users.exists('ada'), false)
    assert.throws(() => etcd.typed('a/', user as never), /got a schema: pass json\(schema\)/)
    assert.throws(() => etcd.typed('a/', undefined as never), /typed\(\) takes a codec such as json\(\), got undefined/)
    assert.throws(() => users.list({ prefix: '' }, { keysOnly: true } as never), /keysOnly/)
  })

  test('that cannot be decoded reject with their key, and listings can report them', async () => {
    const { prefix, users } = own()
    await Promise.all([users.put('ada', ada), etcd.put(`${prefix}bad`, '{"name":7}'), users.put('zoe', alan)])
    const expected = {
      code: 'DECODE_FAILED',
      effect: 'none',
      message: /the value of "bad": not valid: name: must be text; age: must be a number/,
    }
    await assert.rejects(users.get('bad'), expected)
    await assert.rejects(users.list().toArray(), expected)
    await assert.rejects(
      users.update('bad', () => ada),
      expected,
    )
    await assert.rejects(users.putIf('bad', ada, 1), expected)
    assert.equal((await etcd.get(`${prefix}bad`))?.version, 1)
    const invalid: string[] = []
    const rest = await users.list({ prefix: '' }, { onInvalid: ({ keyText }) => invalid.push(keyText) }).toArray()
    assert.deepEqual([rest.map(({ keyText }) => keyText), invalid], [['ada', 'zoe'], ['bad']])
  })

  test('report what a codec throws as `DECODE_FAILED`, with the cause', async () => {
    const cause = new RangeError('odd')
    const throwing: Codec<string> = {
      ...text,
      decode: () => {
        throw cause
      },
    }
    const odd = etcd.typed(uniquePrefix(), throwing)
    await odd.put('k', 'v')
    await assert.rejects(odd.get('k'), { code: 'DECODE_FAILED', message: /the value of "k": odd/, cause })
  })

  test('arrive in a watch, which an invalid value does not end', async () => {
    const { prefix, users } = own()
    const { revision } = await users.put('ada', ada)
    await etcd
      .txn()
      .then(put(`${prefix}bad`, 'x'), users.ops.put('alan', alan))
      .commit()
    await users.delete('ada')
    const watcher = users.watch({ prefix: '' }, { startRevision: revision, prevKv: true })
    await watcher.ready()
    const seen: TypedEvent<User>[] = []
    for await (const event of watcher) {
      seen.push(event)
      if (event.type === 'delete') break
    }
    assert.deepEqual(
      seen.map((event) => [event.type, event.keyText, event.type === 'put' ? event.value.name : undefined]),
      [
        ['put', 'ada', 'Ada'],
        ['invalid', 'bad', undefined],
        ['put', 'alan', 'Alan'],
        ['delete', 'ada', undefined],
      ],
    )
    const bad = seen.find(({ type }) => type === 'invalid')
    assert.ok(bad?.type === 'invalid')
    assert.match(String(bad.error), /DECODE_FAILED.*"bad"/)
    assert.equal(bad.kv.valueText, 'x')
    assert.deepEqual(seen.at(-1)?.prevKv?.as(json(user)), ada)
    assert.equal(watcher.status.state, 'ended')
  })

  test('arrive in the batches of a watch, a revision at a time', async () => {
    const { users } = own()
    const { revision } = await etcd.txn().then(users.ops.put('ada', ada), users.ops.put('alan', alan)).commit()
    const watcher = users.watch(undefined, { startRevision: revision })
    for await (const batch of watcher.batches()) {
      assert.deepEqual([batch.revision, batch.events.map(({ keyText }) => keyText)], [revision, ['ada', 'alan']])
      break
    }
  })

  test('are followed by informers, which keep the last valid value', async (t) => {
    const { prefix, users } = own()
    await users.put('ada', ada)
    const informer = users.informer({ prefix: '' }, { indexes: { name: ({ name }) => name } })
    const value = users.value('ada')
    t.after(() => Promise.all([informer.close(), value.close()]))
    await Promise.all([informer.ready(), value.ready()])
    assert.deepEqual([informer.get('ada'), value.current, informer.by('name', 'Ada').length], [ada, ada, 1])
    const { revision } = await etcd.put(`${prefix}ada`, 'not JSON')
    await Promise.all([informer.waitForRevision(revision), value.waitForRevision(revision)])
    assert.deepEqual([informer.get('ada'), value.current], [ada, ada])
    assert.deepEqual(
      informer.invalid().map(({ keyText }) => keyText),
      ['ada'],
    )
  })

  test('take part in transactions with other types', async () => {
    const { prefix, users } = own()
    const counters = etcd.typed(`${prefix}counters/`, json<number>())
    const create = () =>
      etcd
        .txn()
        .if(users.ops.key('ada').missing())
        .then(users.ops.put('ada', ada), counters.ops.put('users', 1))
        .else(users.ops.get('ada'), counters.ops.get('users'))
        .commit()
    assert.equal((await create()).succeeded, true)
    const second = await create()
    assert.ok(!second.succeeded)
    const [found, count] = second.responses
    assert.deepEqual([found?.value, count?.value, found?.keyText], [ada, 1, 'ada'])
    const matched = await etcd
      .txn()
      .if(counters.ops.key('users').value.equals(1))
      .then(counters.ops.deleteKey('users'))
      .commit()
    assert.equal(matched.succeeded, true)
    await etcd.put(`${prefix}ada`, 'x')
    const { responses } = await etcd.txn().then(users.ops.get('ada')).commit()
    assert.equal(responses[0]?.version, 2)
    assert.throws(() => responses[0]?.value, { code: 'DECODE_FAILED' })
  })

  test('nest in namespaces, and may cover the whole keyspace', async () => {
    const { prefix } = own()
    const tenant = etcd.namespace(`${prefix}tenant/`)
    const all = tenant.typed('', json<number>())
    await tenant.typed('a/', json<number>()).put('one', 1)
    assert.equal(await all.get('a/one'), 1)
    assert.equal((await etcd.get(`${prefix}tenant/a/one`))?.valueText, '1')
    await tenant
      .txn()
      .then(tenant.typed('a/', json<number>()).ops.put(Buffer.from('two'), 2))
      .commit()
    assert.deepEqual([...(await all.list().toMap()).keys()], ['a/one', 'a/two'])
    assert.equal(inspect(all), "TypedKeyspace { prefix: '' }")
  })
})

/** The types of the interface: compiled, never run. */
export async function types(t: TestContext, etcd: Etcd): Promise<void> {
  const numbers = etcd.typed('n/', json<number>())
  // @ts-expect-error the value is no number
  await numbers.put('a', 'text')
  const value: number | undefined = await numbers.get('a')
  t.diagnostic(String(value))
}
