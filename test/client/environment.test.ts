import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { optionsFromEnvironment } from '../../src/client/environment.js'
import { Etcd } from '../../src/index.js'

const given = (options: object): object =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

test("etcdctl's variables become options", () => {
  const env = {
    ETCDCTL_ENDPOINTS: 'https://a:1,https://b:2',
    ETCDCTL_USER: 'app',
    ETCDCTL_PASSWORD: 'p:w',
    ETCDCTL_CACERT: '/ca.pem',
    ETCDCTL_DIAL_TIMEOUT: '1m30s',
    ETCDCTL_COMMAND_TIMEOUT: '1.5s',
    ETCDCTL_KEEPALIVE_TIME: '30s',
    ETCDCTL_KEEPALIVE_TIMEOUT: '500ms',
  }
  assert.deepEqual(given(optionsFromEnvironment(env)), {
    endpoints: 'https://a:1,https://b:2',
    auth: { username: 'app', password: 'p:w' },
    tls: { ca: '/ca.pem', cert: undefined, key: undefined, dangerouslySkipVerification: false },
    connectTimeoutMs: 90_000,
    timeoutMs: 1500,
    keepaliveMs: 30_000,
    keepaliveTimeoutMs: 500,
  })
})

test('the password may follow the user, and a token replaces both', () => {
  assert.deepEqual(optionsFromEnvironment({ ETCDCTL_USER: 'app:p:w' }).auth, { username: 'app', password: 'p:w' })
  assert.deepEqual(optionsFromEnvironment({ ETCDCTL_AUTH_JWT_TOKEN: 'x.y.z' }).auth, { token: 'x.y.z' })
  assert.throws(() => optionsFromEnvironment({ ETCDCTL_USER: 'app' }), /ETCDCTL_USER has no password/)
})

test('the user is the whole variable if the password has a separate one, as for etcdctl', () => {
  const separate = { ETCDCTL_USER: 'system:master', ETCDCTL_PASSWORD: 'p:w' }
  assert.deepEqual(optionsFromEnvironment(separate).auth, { username: 'system:master', password: 'p:w' })
  const empty = { ETCDCTL_USER: 'app:pw', ETCDCTL_PASSWORD: '' }
  assert.deepEqual(optionsFromEnvironment(empty).auth, { username: 'app', password: 'pw' })
  assert.equal(optionsFromEnvironment({ ETCDCTL_USER: '', ETCDCTL_PASSWORD: 'pw' }).auth, undefined)
})

test('the certificate and its key become options, also without an authority', () => {
  const { tls } = optionsFromEnvironment({ ETCDCTL_CERT: '/cert.pem', ETCDCTL_KEY: '/key.pem' })
  assert.deepEqual(tls, { ca: undefined, cert: '/cert.pem', key: '/key.pem', dangerouslySkipVerification: false })
})

test('verification is skipped only by the texts that Go takes for true', () => {
  const skips = (text: string): boolean | undefined =>
    optionsFromEnvironment({ ETCDCTL_INSECURE_SKIP_TLS_VERIFY: text }).tls?.dangerouslySkipVerification
  for (const text of ['1', 't', 'T', 'true', 'True', 'TRUE']) assert.equal(skips(text), true, text)
  for (const text of ['0', 'f', 'F', 'false', 'False', 'FALSE', '']) assert.equal(skips(text), undefined, text)
  assert.throws(() => skips('yes'), /ETCDCTL_INSECURE_SKIP_TLS_VERIFY must be true or false, got "yes"/)
})

test('empty variables count as unset, as for etcdctl', () => {
  const names = ['ENDPOINTS', 'USER', 'PASSWORD', 'AUTH_JWT_TOKEN', 'CACERT', 'CERT', 'KEY', 'DIAL_TIMEOUT']
  const more = ['COMMAND_TIMEOUT', 'KEEPALIVE_TIME', 'KEEPALIVE_TIMEOUT', 'DISCOVERY_SRV', 'DISCOVERY_SRV_NAME']
  const env = Object.fromEntries([...names, ...more].map((name) => [`ETCDCTL_${name}`, '']))
  assert.deepEqual(given(optionsFromEnvironment(env)), { endpoints: '127.0.0.1:2379' })
})

test('an empty environment means a member on this machine', () => {
  assert.deepEqual(given(optionsFromEnvironment({})), { endpoints: '127.0.0.1:2379' })
  assert.deepEqual(
    Etcd.fromEnv({}, {})
      .endpoints()
      .map(({ endpoint }) => endpoint),
    ['http://127.0.0.1:2379'],
  )
})

test('DNS discovery replaces endpoints', () => {
  const env = { ETCDCTL_DISCOVERY_SRV: 'example.com', ETCDCTL_DISCOVERY_SRV_NAME: 'blue' }
  assert.deepEqual(given(optionsFromEnvironment(env)), { discovery: { domain: 'example.com', name: 'blue' } })
})

test('a duration has all units of Go', () => {
  const { timeoutMs } = optionsFromEnvironment({ ETCDCTL_COMMAND_TIMEOUT: '2h3m4s5ms6us500000ns' })
  assert.equal(timeoutMs, 7_384_005.506)
})

test('a duration that Go cannot parse is rejected with the name of its variable', () => {
  assert.throws(() => optionsFromEnvironment({ ETCDCTL_DIAL_TIMEOUT: '5' }), /ETCDCTL_DIAL_TIMEOUT must be a duration/)
})

test('endpoints and discovery given in code override the environment', async () => {
  const env = { ETCDCTL_DISCOVERY_SRV: 'example.com' }
  const found = (etcd: Etcd) => etcd.endpoints().map(({ endpoint }) => endpoint)
  await using placed = Etcd.fromEnv({ endpoints: 'other:1' }, env)
  assert.deepEqual(found(placed), ['http://other:1'])
  await using discovering = Etcd.fromEnv({ discovery: { domain: 'example.invalid' } }, {})
  assert.deepEqual(found(discovering), [])
  await using undecided = Etcd.fromEnv({ endpoints: undefined, discovery: undefined }, {})
  assert.deepEqual(found(undecided), ['http://127.0.0.1:2379'])
})

test('options given in code override the environment, and those that are undefined do not', async (t) => {
  const env = { ETCDCTL_ENDPOINTS: 'a:1', ETCDCTL_USER: 'app:pw', ETCDCTL_CACERT: '/missing/ca.pem' }
  assert.throws(() => Etcd.fromEnv({ tls: undefined }, env), /missing.ca\.pem/)
  t.mock.method(process, 'emitWarning', () => {})
  const named = Etcd.fromEnv({ auth: undefined }, { ...env, ETCDCTL_CACERT: '' })
  assert.match(inspect(named), /user: 'app'/)
  const other = Etcd.fromEnv({ auth: { username: 'other', password: 'pw' } }, { ...env, ETCDCTL_CACERT: '' })
  assert.match(inspect(other), /user: 'other'/)
  await Promise.all([named.close(), other.close()])
})

test('endpoints given in code override the environment', () => {
  const etcd = Etcd.fromEnv({ endpoints: 'other:1' }, { ETCDCTL_ENDPOINTS: 'a:1' })
  assert.deepEqual(
    etcd.endpoints().map(({ endpoint }) => endpoint),
    ['http://other:1'],
  )
})
