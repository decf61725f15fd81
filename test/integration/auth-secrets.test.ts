import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { type ClientOptions, channels, type Etcd, tracing } from '../../src/index.js'
import { addUser, rootPassword } from '../support/auth.js'
import { runScript } from '../support/child.js'
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
  for (const channel of Object.values(channels)) {
    channel.subscribe(listen)
    t.after(() => channel.unsubscribe(listen))
  }
  for (const channel of Object.values(tracing)) {
    const subscribers = { start: listen, end: listen, asyncStart: listen, asyncEnd: listen, error: listen }
    channel.subscribe(subscribers)
    t.after(() => channel.unsubscribe(subscribers))
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

  test('appear in no line of NODE_DEBUG, whether the login succeeds or fails', async () => {
    const source = `
      import { Etcd } from './src/index.ts'
      for (const auth of [${JSON.stringify(root)}, { username: 'root', password: 'wrong-hush-hush' }, { token: 'hush-hush' }]) {
        const etcd = new Etcd({ endpoints: ${JSON.stringify(cluster.endpoints)}, auth })
        await etcd.put('key', 'hush-hush value').catch((error) => console.log(error))
        await etcd.lock('debugged').then((lock) => lock.release(), (error) => console.log(error))
        console.log(etcd, etcd.stats(), etcd.auth)
        await etcd.close()
      }`
    const { code, stdout, stderr } = await runScript(source, { NODE_DEBUG: 'etcdkit' })
    assert.equal(code, 0, stderr)
    assert.match(stderr, /ETCDKIT \d+: /)
    assert.doesNotMatch(`${stdout}${stderr}`, new RegExp(`hush-hush|${rootPassword}`))
  })
})
