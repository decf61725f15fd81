import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { json } from '../../src/core/codec.js'
import { Informer } from '../../src/informer/informer.js'
import { ValueInformer } from '../../src/informer/value-informer.js'
import { FakeSource, failure, pageOf } from './fake-source.js'
import { batchOf, settled } from './fixtures.js'

function createValue(t: TestContext) {
  const source = new FakeSource()
  source.listings.push([pageOf({ a: '1' }, 7)])
  const value = new ValueInformer<number>(new Informer(source, 'a', { codec: json<number>() }), 'a')
  t.after(() => value.close())
  return { source, value }
}

describe('An informer of one key', () => {
  test('calls its error listeners for every kind of error, until they are removed', async (t) => {
    const { source, value } = createValue(t)
    const errors: string[] = []
    const remove = value.onError((error) => errors.push(String(error)))
    value.onChange((current) => {
      if (current === 2) throw new Error('thrown by a listener')
    })
    await value.ready()
    const happen = async (revision: number): Promise<void> => {
      source.happen(batchOf(revision, { a: '2' }))
      source.happen(batchOf(revision + 1, { a: 'not JSON' }))
      await settled()
      source.listings.push([pageOf({ a: '1' }, revision + 2)])
      source.fail(failure('WATCH_CANCELED'))
      await settled()
    }
    await happen(8)
    const kinds = [/thrown by a listener/, /JSON|DECODE_FAILED/, /WATCH_CANCELED/]
    for (const kind of kinds)
      assert.ok(
        errors.some((error) => kind.test(error)),
        `${kind} in ${errors}`,
      )
    assert.equal(errors.length, 3)
    remove()
    await value.waitForRevision(10)
    await happen(11)
    assert.equal(errors.length, 3)
  })

  test('is ready with the last valid value, and rejects without one', async (t) => {
    const { source, value } = createValue(t)
    assert.equal(await value.ready(), 1)
    source.happen(batchOf(8, { a: 'not JSON' }, false))
    await settled()
    assert.equal(await value.ready(), 1)
    source.happen(batchOf(9, { a: undefined }))
    source.happen(batchOf(10, { a: 'not JSON' }))
    await settled()
    await assert.rejects(value.ready(), { code: 'DECODE_FAILED' })
  })

  test('passes the previous value to its listeners', async (t) => {
    const { source, value } = createValue(t)
    const changes: unknown[] = []
    value.onChange((current, old) => changes.push([current, old]))
    await value.ready()
    source.happen(batchOf(8, { a: '2' }))
    source.happen(batchOf(9, { a: undefined }))
    await settled()
    assert.deepEqual(changes, [
      [1, undefined],
      [2, 1],
      [undefined, 2],
    ])
  })
})
