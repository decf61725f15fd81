import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { LanguageServer } from '../support/language-server.js'

/** `|` is where the completions are requested. */
const ranges = [
  'list({ | })',
  'range({ | })',
  'count({ | })',
  'deleteRange({ | })',
  'watch({ | })',
  'watch([{ | }])',
  'informer({ | })',
]
const options: Readonly<Record<string, readonly string[]>> = {
  "get('k', { | })": ['revision', 'keysOnly', 'mode', 'prefer', 'fallback', 'signal', 'timeoutMs'],
  "put('k', 'v', { | })": ['prevKv', 'lease', 'ignoreLease', 'ttlSeconds', 'signal', 'timeoutMs'],
  "watch('k', { | })": ['startRevision', 'prevKv', 'only', 'progress', 'onCompacted', 'maxBufferedEvents', 'signal'],
  "lock('k', { | })": ['ttlSeconds', 'timeoutMs', 'signal', 'value'],
}

describe('Editors', () => {
  let server: LanguageServer
  let uri: string
  const calls = [...ranges, ...Object.keys(options)]
  const text = [
    "import { Etcd } from '../../src/index.js'",
    "const etcd = new Etcd({ endpoints: 'a' })",
    ...calls.map((call) => `etcd.${call.replace('|', '')}`),
  ].join('\n')

  before(async () => {
    server = await LanguageServer.start()
    uri = server.open('test/client/opened-in-an-editor.ts', text)
  })
  after(() => server?.[Symbol.asyncDispose]())

  const offered = (call: string): Promise<string[]> =>
    server.completions(uri, { line: calls.indexOf(call) + 2, character: `etcd.${call}`.indexOf('|') })

  test('offer the fields of a range, and not the members of byte arrays', async () => {
    for (const call of ranges) assert.deepEqual((await offered(call)).sort(), ['from', 'key', 'prefix', 'to'], call)
  })

  test('offer the options of a call', async () => {
    for (const [call, names] of Object.entries(options)) {
      assert.deepEqual((await offered(call)).sort(), [...names].sort(), call)
    }
  })

  test('show an example for the calls of a client', async () => {
    for (const call of ['list', 'range', 'watch', 'informer', 'get', 'put', 'lock'] as const) {
      const line = calls.findIndex((each) => each.startsWith(`${call}(`)) + 2
      assert.match(await server.hover(uri, { line, character: 6 }), /@example/, call)
    }
  })
})
