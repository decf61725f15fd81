import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { Etcd } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { addUser, rootPassword, startLoad } from '../support/auth.js'
import { useCluster } from '../support/cluster.js'
import { createClient } from '../support/fixtures.js'
import { JwtKeys } from '../support/jwt.js'

const root = { username: 'root', password: rootPassword }
const password = 'app-secret'

describe('JWTs on three members', () => {
  const keys = new JwtKeys()
  const cluster = useCluster({ members: 3, auth: { rootPassword }, flags: { 'auth-token': keys.flag(300) } })

  after(async () => {
    await cluster?.stop()
    keys[Symbol.dispose]()
  })

  /** The issuer of tokens for this cluster. */
  async function issue(name: string): Promise<string> {
    const [member = assert.fail()] = cluster.members
    const body = JSON.stringify({ name, password })
    const response = await fetch(`${member.clientUrl}/v3/auth/authenticate`, { method: 'POST', body })
    const { token } = (await response.json()) as { token: string }
    return token
  }

  /** Every change of users and roles makes all JWTs old. */
  async function changeRoles(admin: Etcd, name: string, count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      await admin.auth.roles.add(`${name}-${index}`)
      await admin.auth.users.grantRole(name, `${name}-${index}`)
      await admin.put(`${name}-${index}`, 'the admin is a caller, too')
    }
  }

  test('survive changes to users and roles during calls, unnoticed by callers', async (t) => {
    const admin = createClient(t, cluster, { auth: root })
    await addUser(admin, 'app', password)
    const auth = { username: 'app', password }
    const clients = [createClient(t, cluster, { auth }), createClient(t, cluster, { auth })]
    const loads = clients.flatMap((etcd) => [
      startLoad(t, () => etcd.put('changes', 'x'), { workers: 4, restMs: 0 }),
      startLoad(t, () => etcd.get('changes'), { workers: 4, restMs: 0 }),
    ])
    await poll('there is traffic', () => loads.every(({ successes }) => successes > 10) || undefined)
    await changeRoles(admin, 'app', 20)
    await Promise.all(loads.map((load) => load.stop()))
    assert.deepEqual(
      loads.flatMap(({ failures }) => failures.map(({ error }) => String(error))),
      [],
    )
    const rejected = clients.reduce((sum, etcd) => sum + etcd.auth.stats().authenticated.rejected, 0)
    assert.ok(rejected >= 1 && rejected <= 80, `${rejected} tokens were replaced for 40 changes`)
  })

  test('that are fixed are sent unchanged; once one has expired, calls report that', async (t) => {
    const admin = createClient(t, cluster, { auth: root })
    await addUser(admin, 'fixed', password)
    const etcd = createClient(t, cluster, { auth: { token: await issue('fixed') } })
    await etcd.put('fixed', 'x')
    await changeRoles(admin, 'fixed', 1)
    await assert.rejects(etcd.put('fixed', 'x'), { code: 'AUTH_OLD_REVISION', effect: 'none', attempts: 1 })
    const wrong = createClient(t, cluster, { auth: { token: `${await issue('fixed')}x` } })
    await assert.rejects(wrong.get('fixed'), { code: 'INVALID_AUTH_TOKEN', effect: 'none', attempts: 1 })
    assert.deepEqual(etcd.auth.stats(), { authenticated: { first: 0, expiring: 0, rejected: 0 }, failed: 0 })
  })

  test('from a token provider are requested when needed, and the calls wait for them', async (t) => {
    const admin = createClient(t, cluster, { auth: root })
    await addUser(admin, 'provided', password)
    const reasons: string[] = []
    const tokenProvider = (reason: string): Promise<string> => {
      reasons.push(reason)
      return issue('provided')
    }
    const etcd = createClient(t, cluster, { auth: { tokenProvider } })
    await Promise.all(Array.from({ length: 20 }, () => etcd.put('provided', 'x')))
    assert.deepEqual(reasons, ['first'])
    await changeRoles(admin, 'provided', 1)
    await Promise.all(Array.from({ length: 20 }, () => etcd.put('provided', 'x')))
    assert.deepEqual(reasons, ['first', 'rejected'])
  })
})
