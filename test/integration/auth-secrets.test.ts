import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import type { ClientOptions, Etcd } from '../../src/index.js'
import { addUser, rootPassword } from '../support/auth.js'
import { useCluster } from '../support/cluster.js'
import { createClient } from '../support/fixtures.js'

const root = { username: 'root', password: rootPassword }

/** Everything that a program might print of a value. */
function shown(value: unknown): string {
  const text = inspect(value, { depth: 20, showHidden: true, maxStringLength: null, getters: true })
  return `${text}\n${JSON.stringify(value)}\n${String(value)}`
}

/** Keeps what the client publishes and emits during the test. */
function recordings(t: TestContext, etcd: Etcd): readonly unknown[] {
  const seen: unknown[] = []
  const listen = (record: unknown): number => seen.push(record)
  for (const name of ['etcdkit:call', 'etcdkit:attempt', 'etcdkit:authenticate']) {
    subscribe(name, listen)
    t.after(() => unsubscribe(name, listen))
  }
  for (const event of ['authenticated', 'authenticationFailed', 'endpointReady'] as const) etcd.on(event, listen)
  return seen
}

describe('Passwords and tokens', () => {
  const cluster = useCluster({ auth: { rootPassword } })

  /** The token of a client, taken from a member. */
  async function issue(name: string, password: string): Promise<string> {
    const [member = assert.fail()] = cluster.members
    const { token } = await member.call('/v3/auth/authenticate', { name, password })
    return String(token)
  }

  test('appear in nothing that a client shows, emits, publishes or throws', async (t) => {
    const admin = createClient(t, cluster, { auth: root })
    await addUser(admin, 'app', 'app-hush-hush', { range: { prefix: 'own/' } })
    const token = await issue('app', 'app-hush-hush')
    const clients: readonly (readonly [ClientOptions['auth'], boolean])[] = [
      [{ username: 'app', password: 'app-hush-hush' }, true],
      [{ username: 'app', password: 'wrong-hush-hush' }, false],
      [{ token }, true],
      [{ token: 'a-hush-hush-token' }, false],
      [{ tokenProvider: async () => token }, true],
      [{ tokenProvider: async () => 'a hush-hush token' }, false],
    ]
    for (const [auth, works] of clients) {
      const etcd = createClient(t, cluster, { auth })
      const seen: unknown[] = [recordings(t, etcd), etcd]
      const calls = [
        etcd.put('own/key', 'x'),
        etcd.get('foreign/key'),
        etcd.get('own/key', { timeoutMs: 0 }),
        etcd.auth.users.setPassword('app', 'new-hush-hush'),
      ]
      const results = await Promise.allSettled(calls)
      assert.deepEqual(
        results.map(({ status }) => status),
        [works ? 'fulfilled' : 'rejected', 'rejected', 'rejected', 'rejected'],
      )
      seen.push(results, etcd.endpoints(), etcd.auth, etcd.auth.stats(), etcd.namespace('own/'))
      await etcd.close()
      seen.push(await etcd.get('own/key').catch((error: unknown) => error), etcd)
      const text = shown(seen)
      assert.ok(text.includes('etcdkit') || text.includes('EtcdError'))
      assert.doesNotMatch(text, /hush-hush/)
      assert.ok(!text.includes(token.slice(0, 16)), 'the token was shown')
      for (const part of seen.flat(2)) {
        if (part instanceof Error) assert.doesNotMatch(`${part.stack}${shown(part.cause)}`, /hush-hush/)
      }
    }
  })
})
