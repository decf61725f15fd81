import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ClientOptions, Etcd, type EtcdError } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { type Script, ScriptedMember } from '../support/scripted-member.js'
import { within } from '../support/slack.js'

/** A member that answers like this until `recover()`, and a client of it that is connected. */
async function refusing(t: TestContext, text: string, options: ClientOptions) {
  const refuses: Script = () => text
  const member = await ScriptedMember.start(() => undefined)
  const etcd = new Etcd({ endpoints: member.endpoint, ...options })
  t.after(() => member[Symbol.asyncDispose]())
  t.after(() => etcd.close())
  await etcd.get('connected')
  member.script = refuses
  member.arrivals.length = 0
  const recover = (): void => {
    member.script = () => undefined
  }
  return { etcd, member, recover }
}

const write = (etcd: Etcd, key: string): Promise<unknown> => etcd.put(key, 'value')
const read = (etcd: Etcd, key: string): Promise<unknown> => etcd.get(key)

const cases = [
  ['writes to a busy member', 'etcdserver: too many requests', write, 20],
  ['writes without a leader', 'etcdserver: no leader', write, 60],
  ['reads without a leader', 'etcdserver: no leader', read, 60],
] as const

for (const transport of ['grpc-js', 'http2'] as const) {
  describe(`Calls over ${transport} that are refused before processing`, () => {
    for (const [what, text, call, maxPerSecond] of cases) {
      test(`wait together and all succeed within seconds afterwards: ${what}`, async (t) => {
        const { etcd, member, recover } = await refusing(t, text, {
          transport,
          batching: { reads: false },
          timeoutMs: 20_000,
        })
        const count = 1500
        const make = (index: number): Promise<unknown> => call(etcd, `key/${index}`)
        const all = Promise.all(Array.from({ length: count }, (_, index) => make(index)))
        await poll('each was refused once', () => member.arrivals.length >= count || undefined)
        const startedAt = performance.now()
        const before = member.arrivals.length
        await sleep(700)
        const seconds = (performance.now() - startedAt) / 1000
        const repeats = member.arrivals.length - before
        assert.ok(repeats <= maxPerSecond * seconds + 12, `${repeats} repeats in ${seconds} s`)
        recover()
        const recoveredAt = performance.now()
        await all
        const tookMs = performance.now() - recoveredAt
        t.diagnostic(`${repeats} repeats in ${seconds.toFixed(1)} s, then ${tookMs.toFixed()} ms`)
        assert.ok(tookMs < within(8000), `it took ${tookMs} ms`)
        assert.equal(etcd.stats().writes.queued, 0)
      })
    }

    test("fail with the member's message at their deadline and not before", async (t) => {
      const { etcd } = await refusing(t, 'etcdserver: too many requests', { transport, timeoutMs: 1000 })
      const startedAt = performance.now()
      const ends = await Promise.all(
        Array.from({ length: 300 }, async () => {
          const error = await etcd.put('key', 'value').then(
            () => assert.fail('it must fail'),
            (reason: EtcdError) => reason,
          )
          return { code: error.code, effect: error.effect, at: performance.now() - startedAt }
        }),
      )
      assert.deepEqual([...new Set(ends.map(({ code, effect }) => `${code} ${effect}`))], ['TOO_MANY_REQUESTS none'])
      const early = ends.filter(({ at }) => at < 850)
      assert.ok(early.length === 0, `${early.length} ended early, the first after ${early[0]?.at} ms`)
      assert.ok(ends.every(({ at }) => at < within(2000)))
    })
  })
}
