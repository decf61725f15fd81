import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { type Codec, json, text } from '../../src/core/codec.js'
import { encodeRange } from '../../src/core/key-range.js'
import { type DiskOwner, DiskSnapshot, type StoredState } from '../../src/informer/disk-snapshot.js'
import { entryOf } from '../../src/informer/entry.js'
import { InformerSnapshot } from '../../src/informer/snapshot.js'
import { kvOf, settled, textEntry } from './fixtures.js'

const owner: DiskOwner = {
  range: encodeRange({ prefix: 'p/' }),
  namespace: Buffer.alloc(0),
  user: undefined,
  clusterId: () => 'c1',
}
const clusterId = 'c1'

function createFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-disk-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function createDisk<T>(path: string, codec: Codec<T>, over: Partial<DiskOwner> = {}) {
  const errors: unknown[] = []
  return { disk: new DiskSnapshot<T>(path, { ...owner, ...over }, codec, (error) => errors.push(error)), errors }
}

async function leftAt<T>(
  path: string,
  codec: Codec<T>,
  over?: Partial<DiskOwner>,
): Promise<StoredState<T> | undefined> {
  const { disk } = createDisk(path, codec, over)
  const left = disk.load()
  await disk.close()
  return left
}

describe('The state of an informer on disk', () => {
  test('is restored unchanged for keys of any bytes', async (t) => {
    const path = join(createFolder(t), 'state')
    const kvs = [kvOf(Uint8Array.of(0, 0xff), '{"a":1}', 4, 2), Object.assign(kvOf('p/é', '"x"', 5), { lease: '7f' })]
    const entries = kvs.map((kv) => entryOf(kv, kv.as(json())))
    const { disk, errors } = createDisk(path, json())
    disk.save({ snapshot: InformerSnapshot.of(entries, 9), clusterId })
    await disk.close()
    assert.deepEqual(errors, [])
    assert.deepEqual(await leftAt(path, json()), { revision: 9, clusterId: 'c1', entries })
    assert.equal(statSync(path).mode & 0o777, 0o600)
  })

  test('is complete with many entries or none, and does not block the process while it is written', async (t) => {
    const path = join(createFolder(t), 'state')
    for (const count of [0, 1, 500, 501, 20_001]) {
      const names = Array.from({ length: count }, (_, index) => `p/${String(index).padStart(6, '0')}`)
      const entries = names.map((name) => textEntry(name))
      const { disk, errors } = createDisk(path, text)
      disk.save({ snapshot: InformerSnapshot.of(entries, 9), clusterId })
      let turns = 0
      const counting = setInterval(() => {
        turns += 1
      }, 0)
      await disk.close()
      clearInterval(counting)
      assert.deepEqual([disk.load(), errors], [{ revision: 9, clusterId: 'c1', entries }, []])
      if (count > 20_000) assert.ok(turns > 5, `${turns} turns for others`)
    }
  })

  test('is undefined without a file', (t) => {
    assert.equal(createDisk(join(createFolder(t), 'none'), text).disk.load(), undefined)
  })

  test('is written a few seconds after the first of several changes', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const path = join(createFolder(t), 'state')
    const { disk } = createDisk(path, text)
    const state = { snapshot: InformerSnapshot.of([textEntry('p/a')], 1), clusterId }
    const save = (revision: number): void => {
      state.snapshot = InformerSnapshot.of([textEntry('p/a', 'new', revision)], revision)
      disk.save(state)
    }
    const revisionOnDisk = (): number | undefined => {
      const left = disk.load()
      return left && 'revision' in left ? left.revision : undefined
    }
    for (const revision of [1, 3]) {
      save(revision)
      t.mock.timers.tick(3000)
      save(revision + 1)
      t.mock.timers.tick(1999)
      for (let turns = 0; turns < 50; turns += 1) await settled()
      assert.equal(revisionOnDisk(), revision === 1 ? undefined : 2)
      t.mock.timers.tick(1)
      for (let turns = 0; turns < 1e5 && revisionOnDisk() !== revision + 1; turns += 1) await settled()
      assert.equal(revisionOnDisk(), revision + 1)
    }
    await disk.close()
    assert.deepEqual(readdirSync(join(path, '..')), ['state'])
  })

  test('is rejected with an error if the file is damaged or belongs to another range, user or cluster', async (t) => {
    const path = join(createFolder(t), 'state')
    const { disk } = createDisk(path, text)
    disk.save({ snapshot: InformerSnapshot.of([textEntry('p/a')], 1), clusterId })
    await disk.close()
    const whole = readFileSync(path, 'utf8')
    const errorOf = async (over: Partial<DiskOwner> = {}): Promise<string> => {
      const left = await leftAt(path, text, over)
      assert.ok(left !== undefined && 'error' in left)
      return String(left.error)
    }
    assert.match(
      await errorOf({ range: encodeRange({ prefix: 'q/' }) }),
      /state is not used: .* another range or namesp/,
    )
    assert.match(await errorOf({ namespace: Buffer.from('p/') }), /another range or namespace/)
    assert.match(await errorOf({ user: 'alice' }), /another user/)
    writeFileSync(path, whole.replace('"user":null', '"user":"alice"'))
    assert.match(await errorOf(), /another user/)
    writeFileSync(path, whole)
    assert.match(await errorOf({ clusterId: () => 'c2' }), /another cluster/)
    const unknown = await leftAt(path, text, { clusterId: () => undefined })
    assert.equal(unknown && 'clusterId' in unknown && unknown.clusterId, 'c1')
    writeFileSync(path, whole.replace('"format":2', '"format":3'))
    assert.match(await errorOf(), /another release/)
    for (const damaged of [
      whole.slice(0, -9),
      '',
      'null',
      '[]',
      '{"format":1}',
      whole.replace('"dmFsdWU="', '17'),
      whole.replace('"revision":1', '"revision":"1"'),
    ]) {
      writeFileSync(path, damaged)
      assert.match(await errorOf(), /Error/)
    }
  })

  test('is rejected if its keys are not in order', async (t) => {
    const path = join(createFolder(t), 'state')
    const { disk } = createDisk(path, text)
    disk.save({ snapshot: InformerSnapshot.of([textEntry('p/b'), textEntry('p/a')], 1), clusterId })
    await disk.close()
    assert.match(String(((await leftAt(path, text)) as { error: unknown }).error), /state is not used: it is damaged/)
  })

  test('is written on close if the write before has failed', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const folder = join(createFolder(t), 'folder')
    const { disk, errors } = createDisk(join(folder, 'state'), text)
    disk.save({ snapshot: InformerSnapshot.empty(), clusterId })
    t.mock.timers.tick(5000)
    while (errors.length === 0) await settled()
    mkdirSync(folder)
    await disk.close()
    assert.deepEqual([readdirSync(folder), errors.length], [['state'], 1])
  })

  test('is written once for all changes during a write on a slow disk', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const path = join(createFolder(t), 'state')
    let encoded = 0
    const counting: Codec<string> = {
      ...text,
      encode: (value) => {
        encoded += 1
        return text.encode(value)
      },
    }
    const { disk, errors } = createDisk(path, counting)
    for (let revision = 1; revision <= 10; revision += 1) {
      disk.save({ snapshot: InformerSnapshot.of([textEntry('p/a', 'value', revision)], revision), clusterId })
      t.mock.timers.tick(5000)
    }
    await disk.close()
    const left = disk.load()
    assert.deepEqual([left && 'revision' in left && left.revision, encoded, errors], [10, 1, []])
  })

  test('cannot share a file with a second informer of the process, by any path', async (t) => {
    const folder = createFolder(t)
    const path = join(folder, 'state')
    symlinkSync(folder, join(folder, 'link'))
    const { disk } = createDisk(path, text)
    for (const same of [path, join(folder, '.', 'x', '..', 'state'), join(folder, 'link', 'state')]) {
      assert.throws(() => createDisk(same, text), {
        code: 'INVALID_ARGUMENT',
        message: /`persist` must be a file that no other/,
      })
    }
    disk.save({ snapshot: InformerSnapshot.empty(), clusterId })
    const closed = disk.close()
    assert.throws(() => createDisk(path, text), /no other informer/)
    await closed
    const next = createDisk(path, text).disk
    await disk.close()
    assert.throws(() => createDisk(path, text), /no other informer/, 'the file belongs to the next one')
    await next.close()
    await createDisk(path, text).disk.close()
  })

  test('reports a failed write, and leaves no partial file', async (t) => {
    const folder = createFolder(t)
    const { disk, errors } = createDisk(join(folder, 'no such folder', 'state'), text)
    disk.save({ snapshot: InformerSnapshot.of([textEntry('p/a')], 1), clusterId })
    await disk.close()
    assert.match(String(errors[0]), /ENOENT/)
    mkdirSync(join(folder, 'taken'))
    const other = createDisk(join(folder, 'taken'), text)
    other.disk.save({ snapshot: InformerSnapshot.of([textEntry('p/a')], 1), clusterId })
    await other.disk.close()
    assert.match(String(other.errors[0]), /EISDIR/)
    assert.deepEqual(readdirSync(folder), ['taken'])
  })

  test('reports a value that cannot be encoded, and keeps the previous file', async (t) => {
    const path = join(createFolder(t), 'state')
    writeFileSync(path, 'what was there')
    chmodSync(path, 0o600)
    const refusing: Codec<string> = {
      ...text,
      encode: () => {
        throw new Error('cannot encode')
      },
    }
    const { disk, errors } = createDisk(path, refusing)
    disk.save({ snapshot: InformerSnapshot.of([textEntry('p/a')], 1), clusterId })
    await disk.close()
    assert.match(String(errors[0]), /cannot encode/)
    assert.equal(readFileSync(path, 'utf8'), 'what was there')
  })

  test('does not keep the process alive', (t) => {
    const { disk } = createDisk(join(createFolder(t), 'state'), text)
    const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    disk.save({ snapshot: InformerSnapshot.empty(), clusterId })
    assert.equal(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length, before)
    return disk.close()
  })
})
