import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { InvalidArgumentError } from '../../src/core/errors.js'
import { type ConnectionString, parseConnectionString, parseEndpoints } from '../../src/transport/endpoint.js'

function message(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof InvalidArgumentError)
    return error.message
  }
  assert.fail('it was accepted')
}

const urls = (input: string | readonly string[], hasTls = false) =>
  parseEndpoints(input, { hasTls }).map(({ url }) => url)

describe('parseEndpoints', () => {
  const forms: readonly (readonly [text: string, url: string, target: string, serverName: string])[] = [
    ['http://10.0.0.1:2379', 'http://10.0.0.1:2379', 'ipv4:10.0.0.1:2379', '10.0.0.1'],
    ['http://10.0.0.1', 'http://10.0.0.1:2379', 'ipv4:10.0.0.1:2379', '10.0.0.1'],
    ['http://a.example:2380', 'http://a.example:2380', 'dns:a.example:2380', 'a.example'],
    ['http://a.example/', 'http://a.example:2379', 'dns:a.example:2379', 'a.example'],
    ['HTTP://A.Example:1/', 'http://a.example:1', 'dns:a.example:1', 'a.example'],
    ['https://a.example', 'https://a.example:2379', 'dns:a.example:2379', 'a.example'],
    ['https://a.example:65535/', 'https://a.example:65535', 'dns:a.example:65535', 'a.example'],
    ['localhost', 'http://localhost:2379', 'dns:localhost:2379', 'localhost'],
    ['localhost:1', 'http://localhost:1', 'dns:localhost:1', 'localhost'],
    ['localhost:1/', 'http://localhost:1', 'dns:localhost:1', 'localhost'],
    ['etcd_0.etcd-svc', 'http://etcd_0.etcd-svc:2379', 'dns:etcd_0.etcd-svc:2379', 'etcd_0.etcd-svc'],
    [' 127.0.0.1:1 ', 'http://127.0.0.1:1', 'ipv4:127.0.0.1:1', '127.0.0.1'],
    ['http://[::1]:2379', 'http://[::1]:2379', 'ipv6:[::1]:2379', '::1'],
    ['https://[2001:DB8::1]', 'https://[2001:db8::1]:2379', 'ipv6:[2001:db8::1]:2379', '2001:db8::1'],
    ['[::1]:2379', 'http://[::1]:2379', 'ipv6:[::1]:2379', '::1'],
    ['[::1]', 'http://[::1]:2379', 'ipv6:[::1]:2379', '::1'],
    ['unix:///run/etcd.sock', 'unix:/run/etcd.sock', 'unix:/run/etcd.sock', 'localhost'],
    ['unix:/run/etcd.sock', 'unix:/run/etcd.sock', 'unix:/run/etcd.sock', 'localhost'],
    ['unix:etcd.sock', 'unix:etcd.sock', 'unix:etcd.sock', 'localhost'],
    ['unix:2379', 'unix:2379', 'unix:2379', 'localhost'],
    ['unix:/run/me@home', 'unix:/run/me@home', 'unix:/run/me@home', 'localhost'],
    ['unixs:///run/etcd.sock', 'unixs:/run/etcd.sock', 'unix:/run/etcd.sock', 'localhost'],
    ['unixs:etcd.sock', 'unixs:etcd.sock', 'unix:etcd.sock', 'localhost'],
  ]

  test('accepts every notation', () => {
    for (const [text, url, target, serverName] of forms) {
      const tls = /^(https|unixs):/.test(url)
      assert.deepEqual(parseEndpoints(text, { hasTls: false }), [{ url, tls, target, serverName }], text)
    }
  })

  test('accepts its own URLs with the same result', () => {
    for (const [text] of forms) {
      const endpoints = parseEndpoints(text, { hasTls: false })
      assert.deepEqual(
        parseEndpoints(
          endpoints.map(({ url }) => url),
          { hasTls: false },
        ),
        endpoints,
      )
    }
  })

  test('uses TLS for endpoints without a scheme if there is TLS material', () => {
    assert.deepEqual(parseEndpoints('a:1,[::1],unix:/s,unixs:/t,https://b', { hasTls: true }), [
      { url: 'https://a:1', tls: true, target: 'dns:a:1', serverName: 'a' },
      { url: 'https://[::1]:2379', tls: true, target: 'ipv6:[::1]:2379', serverName: '::1' },
      { url: 'unix:/s', tls: true, target: 'unix:/s', serverName: 'localhost' },
      { url: 'unixs:/t', tls: true, target: 'unix:/t', serverName: 'localhost' },
      { url: 'https://b:2379', tls: true, target: 'dns:b:2379', serverName: 'b' },
    ])
  })

  test('accepts comma-separated strings, arrays, and arrays of comma-separated strings, in order', () => {
    const expected = ['http://c:1', 'http://a:2379', 'unix:/b']
    assert.deepEqual(urls('http://c:1,a, unix:/b'), expected)
    assert.deepEqual(urls(['http://c:1', 'a', 'unix:/b']), expected)
    assert.deepEqual(urls(['http://c:1,a', 'unix:/b']), expected)
  })

  test('drops duplicates', () => {
    assert.deepEqual(urls(['a', 'http://a:2379', 'HTTP://A/', 'b', 'a']), ['http://a:2379', 'http://b:2379'])
  })

  test('rejects a mixture of TLS and plain text, naming one of each', () => {
    const mixed = (input: string, hasTls: boolean) => message(() => parseEndpoints(input, { hasTls }))
    const expected = '`endpoints` must all use TLS or all use plain text, got'
    assert.equal(mixed('a,http://b,https://c,https://d', false), `${expected} https://c:2379 and http://a:2379`)
    assert.equal(mixed('a,http://b', true), `${expected} https://a:2379 and http://b:2379`)
    assert.equal(mixed('unixs:/a,unix:/b', false), `${expected} unixs:/a and unix:/b`)
  })

  test('does not apply the scheme of an endpoint to the next one', () => {
    assert.match(
      message(() => urls('https://a,b')),
      /got https:\/\/a:2379 and http:\/\/b:2379$/,
    )
  })

  test('rejects TLS material with http', () => {
    const text = message(() => urls(['http://a', 'http://b'], true))
    assert.equal(text, '`endpoints` must use https when `tls` is given, got http://a:2379')
  })

  const form = 'be http://host:port, https://host:port, host:port, unix:/path or unixs:/path'
  const badPort = 'have a port from 1 to 65535'
  const bad: readonly (readonly [text: string, expected: string])[] = [
    ['', form],
    ['a:1,', form],
    ['http://', form],
    ['http:///', form],
    ['http:2379', form],
    ['https:a:1', form],
    ['http://:2379', form],
    ['http://a:', form],
    ['http://a:b', form],
    ['localhost:b', form],
    ['http://a//', form],
    ['http://a:1/v3', form],
    ['http://a:1?x=1', form],
    ['http://a b:1', form],
    ['http://a\u0000b:1', form],
    ['http://a:-1', form],
    ['::1', form],
    ['fe80::1', form],
    ['[::1', form],
    ['[localhost]:1', form],
    ['http://[::1]2379', form],
    ['ftp://h', form],
    ['etcd://h', form],
    ['a:0', badPort],
    ['http://a:0', badPort],
    ['http://a:99999', badPort],
    ['[::1]:65536', badPort],
    ['unix:', 'have a path after unix:'],
    ['unixs://', 'have a path after unixs:'],
  ]

  test('rejects everything else, naming what was expected and what was given', () => {
    for (const [text, expected] of bad) {
      const last = text.split(',').at(-1)
      const full = `\`endpoints\` must ${expected}, got ${JSON.stringify(last)}`
      assert.equal(
        message(() => urls(text)),
        full,
      )
      assert.equal(
        message(() => urls(['a', text])),
        full,
      )
    }
  })

  test('rejects values that are not strings', () => {
    const refuses = (input: unknown) => message(() => parseEndpoints(input as string, { hasTls: false }))
    const expected = '`endpoints` must be a string or an array of strings, got'
    assert.equal(refuses(2379), `${expected} 2379`)
    assert.equal(refuses(null), `${expected} null`)
    assert.equal(refuses(undefined), `${expected} undefined`)
    assert.equal(refuses({ host: 'a' }), `${expected} an object`)
    assert.equal(refuses(['a', 2379]), `${expected} 2379 in it`)
    assert.equal(refuses(['a', ['b']]), `${expected} an array in it`)
  })

  test('requires at least one endpoint', () => {
    assert.equal(
      message(() => urls([])),
      '`endpoints` is empty: at least one endpoint is required',
    )
  })

  test('rejects credentials without showing them', () => {
    const cases: readonly (readonly [text: string, shown: string])[] = [
      ['http://user:secret@h:1', '"http://…@h:1"'],
      ['https://user@h:1', '"https://…@h:1"'],
      ['user:secret@h:1', '"…@h:1"'],
      ['user:sec/ret@h:1', '"…@h:1"'],
      ['http://user:sec,secret@h:1', '"http://…@h:1"'],
      ['http://user:secret,http://x@h:1', '"http://…@h:1"'],
      ['http://user:sec@secret@h:1', '"http://…@h:1"'],
      ['http://user:secret@h:1,user:secret@i', '"http://…@i"'],
      ['etcds://user:secret@h:1/ns', '"etcds://…@h:1/ns"'],
      ['http://user:secret\n@h:1', '"http://…@h:1"'],
      ['secret://user@h', '"…@h"'],
    ]
    for (const [text, shown] of cases) {
      const expected = 'not contain user and password: use the option `auth`, or an etcd:// URL'
      assert.equal(
        message(() => urls(text)),
        `\`endpoints\` must ${expected}, got ${shown}`,
      )
    }
  })
})

describe('parseConnectionString', () => {
  const nothing: ConnectionString = {
    endpoints: [],
    username: undefined,
    password: undefined,
    namespace: undefined,
  }

  const strings: readonly (readonly [text: string, parts: Partial<ConnectionString>])[] = [
    ['etcd://h', { endpoints: ['http://h:2379'] }],
    ['etcd://h/', { endpoints: ['http://h:2379'] }],
    ['etcds://h:2380', { endpoints: ['https://h:2380'] }],
    [
      'etcd://h1,h2:2380,[::1],[::2]:1',
      {
        endpoints: ['http://h1:2379', 'http://h2:2380', 'http://[::1]:2379', 'http://[::2]:1'],
      },
    ],
    [
      'etcds://10.0.0.1,10.0.0.2/ns',
      { endpoints: ['https://10.0.0.1:2379', 'https://10.0.0.2:2379'], namespace: 'ns' },
    ],
    ['etcd://h/tenant/a/', { endpoints: ['http://h:2379'], namespace: 'tenant/a/' }],
    ['etcd://h//a', { endpoints: ['http://h:2379'], namespace: '/a' }],
    ['etcd://h/%2Fa%20%40b%3F%23', { endpoints: ['http://h:2379'], namespace: '/a @b?#' }],
    ['etcd://user:pw@h', { endpoints: ['http://h:2379'], username: 'user', password: 'pw' }],
    ['etcd://user@h', { endpoints: ['http://h:2379'], username: 'user' }],
    ['etcd://user:@h', { endpoints: ['http://h:2379'], username: 'user', password: '' }],
    [
      'etcds://user:pw@h1,[::1]:2380/ns/',
      {
        endpoints: ['https://h1:2379', 'https://[::1]:2380'],
        username: 'user',
        password: 'pw',
        namespace: 'ns/',
      },
    ],
    ['etcd://us%3Aer:p%40%2F%25%C3%A4@h', { endpoints: ['http://h:2379'], username: 'us:er', password: 'p@/%ä' }],
    ['etcd://user:p:w,x?#@@h', { endpoints: ['http://h:2379'], username: 'user', password: 'p:w,x?#@' }],
  ]

  test('returns hosts, user, password and namespace', () => {
    for (const [text, parts] of strings) {
      assert.deepEqual(parseConnectionString(text), { ...nothing, ...parts }, text)
    }
  })

  test('returns endpoints that parseEndpoints accepts unchanged', () => {
    for (const [text] of strings) {
      const { endpoints } = parseConnectionString(text)
      assert.deepEqual(urls(endpoints), endpoints)
    }
  })

  const form = 'be etcd://[user:password@]host[:port][,host…][/namespace]'
  const host = (index: number) => `have host, host:port or [IPv6]:port as its host ${index}`
  const percent = 'have two hexadecimal digits of UTF-8 after each `%`; `%` itself is %25'
  const bad: readonly (readonly [text: string, expected: string])[] = [
    ['', form],
    ['secret', form],
    ['http://user:secret@h', form],
    ['etcd:user:secret@h', form],
    ['etcd://', host(1)],
    ['etcd:///secret', host(1)],
    ['etcd://user:secret@', host(1)],
    ['etcd://user:secret@h,', host(2)],
    ['etcd://user:secret@h:0', host(1)],
    ['etcd://user:secret@h:99999', host(1)],
    ['etcd://user:secret', host(1)],
    ['etcd://h1,http://secret', host(2)],
    ['etcd://@h', 'have a user before the `@`'],
    ['etcd://:secret@h', 'have a user before the `@`'],
    ['etcd://user:sec/ret@h', 'have %2F for `/` in a password, and %40 for `@` in a namespace'],
    ['etcd://h/secret@x', 'have %2F for `/` in a password, and %40 for `@` in a namespace'],
    ['etcd://h/ns?secret=1', 'end after the namespace, in which `?` is %3F and `#` is %23'],
    ['etcd://h/ns#secret', 'end after the namespace, in which `?` is %3F and `#` is %23'],
    ['etcd://user:secret%@h', percent],
    ['etcd://us%FFer:secret@h', percent],
    ['etcd://user:secret@h/%zz', percent],
  ]

  test('rejects everything else without showing it', () => {
    for (const [text, expected] of bad) {
      assert.equal(
        message(() => parseConnectionString(text)),
        `a connection string must ${expected}`,
        text,
      )
    }
  })

  test('rejects values that are not strings', () => {
    assert.equal(
      message(() => parseConnectionString(undefined as unknown as string)),
      'a connection string must be text, got undefined',
    )
  })
})
