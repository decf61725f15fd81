import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { ErrorCode, KeyRange, PermissionType } from '../../src/index.js'
import { rootPassword } from '../support/auth.js'
import { startCluster, useClient, useCluster } from '../support/cluster.js'
import { createClient, untyped } from '../support/fixtures.js'

describe('Users, roles and authentication', () => {
  const cluster = useCluster({ auth: { rootPassword } })
  const etcd = useClient(cluster, { auth: { username: 'root', password: rootPassword } })

  after(async () => {
    await cluster?.stop()
  })

  test('users are added, listed, read, granted roles and deleted', async () => {
    const { users, roles } = etcd.auth
    await roles.add('reader')
    await users.add('alice', 'alice-secret')
    await users.add('by-certificate')
    assert.deepEqual([...(await users.list())].sort(), ['alice', 'by-certificate', 'root'])
    await users.grantRole('alice', 'reader')
    assert.deepEqual(await users.get('alice'), { name: 'alice', roles: ['reader'] })
    await users.revokeRole('alice', 'reader')
    assert.deepEqual(await users.get('alice'), { name: 'alice', roles: [] })
    for (const name of ['alice', 'by-certificate']) await users.remove(name)
    assert.deepEqual(await users.list(), ['root'])
    await roles.remove('reader')
    assert.deepEqual(await roles.list(), ['root'])
  })

  test('grants are returned as they were given, and revoked one by one', async () => {
    const { roles } = etcd.auth
    const grants: readonly (readonly [PermissionType, KeyRange, string, string])[] = [
      ['read', 'key', 'key', ''],
      ['write', { prefix: 'p/' }, 'p/', 'p0'],
      ['readwrite', { from: 'a', to: 'c' }, 'a', 'c'],
      ['read', { from: 'x' }, 'x', '\0'],
      ['write', Buffer.from([0xff]), '\xff', ''],
      ['readwrite', { prefix: '' }, '\0', '\0'],
    ]
    await roles.add('worker')
    const granted = async (): Promise<unknown[]> =>
      (await roles.get('worker')).permissions
        .map(({ type, key, rangeEnd }) => [type, key.toString('latin1'), rangeEnd.toString('latin1')])
        .sort()
    for (const [type, range] of grants) await roles.grant('worker', type, range)
    assert.deepEqual(await granted(), grants.map(([type, , key, end]) => [type, key, end]).sort())
    await roles.grant('worker', 'readwrite', 'key')
    assert.equal(
      (await roles.get('worker')).permissions.find(({ key }) => key.equals(Buffer.from('key')))?.type,
      'readwrite',
    )
    for (const [, range] of grants) await roles.revoke('worker', range)
    assert.deepEqual(await granted(), [])
    await roles.remove('worker')
  })

  test('a user has exactly the permissions of its roles', async (t) => {
    const { users, roles } = etcd.auth
    await roles.add('limited')
    await roles.grant('limited', 'readwrite', { prefix: 'own/' })
    await roles.grant('limited', 'read', 'shared')
    await users.add('bob', 'bob-secret')
    await users.grantRole('bob', 'limited')
    const bob = createClient(t, cluster, { auth: { username: 'bob', password: 'bob-secret' } })
    await bob.put('own/key', 'x')
    await bob.get('shared')
    assert.deepEqual(await bob.auth.users.get('bob'), { name: 'bob', roles: ['limited'] })
    assert.equal((await bob.auth.roles.get('limited')).permissions.length, 2)
    const denied = { code: 'PERMISSION_DENIED', effect: 'none' }
    const refused = [
      () => bob.put('shared', 'x'),
      () => bob.get('other'),
      () => bob.range({ prefix: 'o' }),
      () => bob.deleteRange({ prefix: '' }),
      () => bob.auth.users.list(),
      () => bob.auth.users.setPassword('root', 'taken-over'),
      () => bob.auth.disable(),
    ]
    for (const call of refused) await assert.rejects(call, denied, String(call))
    await users.remove('bob')
    await roles.remove('limited')
  })

  test('missing and duplicate users and roles are typed errors without effect', async () => {
    const { users, roles } = etcd.auth
    await roles.add('known')
    await users.add('carol', 'carol-secret')
    const refused: readonly (readonly [ErrorCode, () => Promise<unknown>])[] = [
      ['ROLE_ALREADY_EXISTS', () => roles.add('known')],
      ['ROLE_NOT_FOUND', () => roles.get('missing')],
      ['ROLE_NOT_FOUND', () => roles.remove('missing')],
      ['ROLE_NOT_FOUND', () => roles.grant('missing', 'read', 'key')],
      ['PERMISSION_NOT_GRANTED', () => roles.revoke('known', 'key')],
      ['USER_ALREADY_EXISTS', () => users.add('carol', 'carol-secret')],
      ['USER_NOT_FOUND', () => users.get('missing')],
      ['USER_NOT_FOUND', () => users.remove('missing')],
      ['USER_NOT_FOUND', () => users.setPassword('missing', 'missing-secret')],
      ['USER_NOT_FOUND', () => users.grantRole('missing', 'known')],
      ['ROLE_NOT_FOUND', () => users.grantRole('carol', 'missing')],
      ['ROLE_NOT_GRANTED', () => users.revokeRole('carol', 'known')],
      ['INVALID_AUTH_MANAGEMENT', () => users.remove('root')],
      ['EMPTY_KEY', () => roles.grant('known', 'read', '')],
    ]
    for (const [code, call] of refused) {
      await assert.rejects(call, (error: Error & { code?: unknown; effect?: unknown }) => {
        assert.deepEqual([error.code, error.effect], [code, 'none'], String(call))
        assert.doesNotMatch(`${error.message} ${JSON.stringify(error)}`, /secret/)
        return true
      })
    }
  })

  test('invalid arguments are rejected before anything is sent, without showing their values', async () => {
    const users = untyped(etcd.auth.users)
    const roles = untyped(etcd.auth.roles)
    const mistakes = [
      users.add?.('', 'a-secret'),
      users.add?.('dave', ''),
      users.add?.('dave', { password: 'a-secret' }),
      users.setPassword?.('dave'),
      users.setPassword?.('dave', Buffer.from('a-secret')),
      users.get?.(undefined),
      users.list?.({ timeout: 1 }),
      users.grantRole?.('dave', 7),
      roles.add?.(''),
      roles.grant?.('known', 'everything', 'key'),
      roles.grant?.('known', 'read', { prefix: 'a', key: 'b' }),
      roles.revoke?.('known', undefined),
    ]
    for (const mistake of mistakes) {
      await assert.rejects(mistake ?? assert.fail(), (error: Error & { code?: unknown }) => {
        assert.equal(error.code, 'INVALID_ARGUMENT')
        assert.doesNotMatch(error.message, /secret/)
        return true
      })
    }
  })

  test('authentication is disabled and enabled', async (t) => {
    const anybody = createClient(t, cluster)
    const refused = { code: 'USER_EMPTY', effect: 'none' }
    await assert.rejects(anybody.auth.users.list(), refused)
    await etcd.auth.disable()
    assert.ok((await anybody.auth.users.list()).includes('root'))
    await anybody.auth.enable()
    await assert.rejects(anybody.auth.users.list(), refused)
    assert.ok((await etcd.auth.users.list()).includes('root'))
  })

  test('the status reports whether authentication is enabled, and its revision, from etcd 3.5 on', async () => {
    const { auth } = etcd
    if (cluster.version.startsWith('3.4.')) {
      await assert.rejects(auth.status(), { code: 'UNIMPLEMENTED', effect: 'none' })
      return
    }
    const status = await auth.status()
    assert.equal(status.enabled, true)
    await auth.roles.add('one-more')
    assert.equal((await auth.status()).authRevision, status.authRevision + 1)
    await auth.disable()
    assert.equal((await auth.status()).enabled, false)
    await auth.enable()
    assert.equal((await auth.status()).enabled, true)
  })

  test('authentication without a root user is rejected', async (t) => {
    const empty = await startCluster(t)
    const anybody = createClient(t, empty)
    await assert.rejects(anybody.auth.enable(), { code: 'ROOT_USER_NOT_EXIST', effect: 'none' })
    await anybody.auth.users.add('root', 'root-secret')
    await assert.rejects(anybody.auth.enable(), { code: 'ROOT_ROLE_NOT_EXIST', effect: 'none' })
  })
})
