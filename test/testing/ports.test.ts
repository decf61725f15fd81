import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { lockFile, tryLockFile } from '../../src/testing/lock-file.js'
import { isOwnerGone, ownerText } from '../../src/testing/owner.js'
import { reservePort, tryReservePort } from '../../src/testing/ports.js'
import { createWorkFolder, removeWorkFolder } from '../../src/testing/work-folder.js'

const folder = mkdtempSync(join(tmpdir(), 'etcdkit-test-'))
after(() => rmSync(folder, { recursive: true }))

/** An owner text whose process has ended. */
function deadOwner(): string {
  const { pid } = spawnSync('true')
  return JSON.stringify({ host: hostname(), pid, startedAt: '1' })
}

describe('An owner text', () => {
  test('distinguishes a live process from a dead one', () => {
    assert.equal(isOwnerGone(ownerText()), false)
    assert.equal(isOwnerGone(deadOwner()), true)
  })

  test('detects that a pid belongs to another process now', () => {
    const text = JSON.stringify({ ...JSON.parse(ownerText()), startedAt: '1' })
    assert.equal(isOwnerGone(text), true)
  })

  test('gives no verdict about another host or an unreadable text', () => {
    assert.equal(isOwnerGone(deadOwner().replace(hostname(), 'elsewhere')), false)
    assert.equal(isOwnerGone('{'), false)
  })
})

describe('A lock file', () => {
  test('has one holder at a time', () => {
    const path = join(folder, 'single')
    const release = tryLockFile(path)
    assert.ok(release)
    assert.equal(tryLockFile(path), undefined)
    release()
    assert.ok(tryLockFile(path))
  })

  test('is taken over from a dead process, and nothing else is left in the folder', () => {
    const path = join(folder, 'stale')
    writeFileSync(path, deadOwner())
    assert.ok(tryLockFile(path))
    assert.equal(readFileSync(path, 'utf8'), ownerText())
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith('stale')),
      ['stale'],
    )
  })

  test('is waited for, but not forever', async () => {
    const path = join(folder, 'waited')
    const release = tryLockFile(path)
    await assert.rejects(lockFile(path, 60), /still locked after 60 ms/)
    const waiting = lockFile(path, 10_000)
    release?.()
    await waiting
  })
})

describe('reservePort()', () => {
  test('never returns a port twice until it is released, and only ports below the ephemeral range', async () => {
    const reserved = await Promise.all(Array.from({ length: 200 }, reservePort))
    const ports = new Set(reserved.map(({ port }) => port))
    assert.equal(ports.size, 200)
    assert.ok([...ports].every((port) => port >= 10_000 && port < 32_000))
    const lock = join(tmpdir(), 'etcdkit-ports', String(reserved[0]?.port))
    assert.ok(existsSync(lock))
    for (const { release } of reserved) release()
    assert.ok(!existsSync(lock))
  })

  test('skips a port that is locked, and one that is in use without a lock', async () => {
    const { port, release } = await reservePort()
    assert.equal(await tryReservePort(port), undefined)
    release()
    const server = createServer().listen(port, '127.0.0.1')
    await once(server, 'listening')
    assert.equal(await tryReservePort(port), undefined)
    server.close()
    await once(server, 'close')
    const reserved = await tryReservePort(port)
    assert.equal(reserved?.port, port)
    reserved?.release()
  })
})

describe('A work folder', () => {
  test('is removed by the next start when its process is dead, and kept while it lives', () => {
    const mine = createWorkFolder()
    const abandoned = mkdtempSync(join(tmpdir(), 'etcdkit-cluster-'))
    writeFileSync(join(abandoned, 'owner'), deadOwner())
    const next = createWorkFolder()
    assert.deepEqual([mine, abandoned, next].map(existsSync), [true, false, true])
    removeWorkFolder(mine)
    removeWorkFolder(next)
    assert.deepEqual([mine, next].map(existsSync), [false, false])
  })
})
