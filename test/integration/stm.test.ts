import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type Etcd,
  InvalidArgumentError,
  type Isolation,
  isEtcdError,
  StmConflictError,
  type StmTransaction,
} from '../../src/index.js'
import { startCluster, useClient, useCluster } from '../support/cluster.js'
import { loseAnswerTo, proxyAt, storedKey } from '../support/cluster-view.js'
import { attemptRecords, createClient, uniquePrefix, untyped } from '../support/fixtures.js'

const levels: readonly Isolation[] = ['serializableSnapshot', 'serializable', 'repeatableReads', 'readCommitted']

/** Waits until `count` callers have arrived; later callers do not wait. */
function meeting(count: number): () => Promise<void> {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  let arrived = 0
  return () => {
    arrived += 1
    if (arrived === count) open()
    return opened
  }
}

describe('A software transaction', () => {
  const cluster = useCluster({ members: 3 })
  const etcd = useClient(cluster)
  const other = useClient(cluster)

  const numberAt = async (tx: StmTransaction, key: string) => Number((await tx.get(key))?.valueText ?? 0)

  test('commits its writes at one revision, and reads its own writes', async () => {
    const at = uniquePrefix()
    await etcd.put(`${at}b`, 'old')
    const { value, changed, revision, attempts } = await etcd.stm(async (tx) => {
      tx.put(`${at}a`, '1')
      const own = await tx.get(`${at}a`)
      assert.deepEqual([own?.valueText, own?.modRevision], ['1', 0])
      assert.equal((await tx.get(`${at}b`))?.valueText, 'old')
      tx.delete(`${at}b`)
      const all = await tx.getAll([`${at}b`, `${at}none`, `${at}a`])
      assert.deepEqual(
        all.map((kv) => kv?.valueText),
        [undefined, undefined, '1'],
      )
      tx.put(`${at}a`, '2')
      assert.equal(tx.attempt, 1)
      return 'returned'
    })
    assert.deepEqual([value, changed, attempts], ['returned', true, 1])
    const { kvs } = await etcd.range({ prefix: at })
    assert.deepEqual(
      kvs.map(({ valueText, modRevision, version }) => [valueText, modRevision, version]),
      [['2', revision, 1]],
    )
  })

  test('retries when a key that it only writes was changed in any way, at the strictest level alone', async () => {
    const at = uniquePrefix()
    const changes: Record<string, (key: string) => Promise<unknown>> = {
      written: (key) => other.put(key, 'theirs'),
      deleted: (key) => other.delete(key),
      'deleted and written': async (key) => {
        await other.delete(key)
        await other.put(key, 'theirs')
      },
    }
    const run = async (keys: readonly string[], isolation: Isolation, change: (key: string) => Promise<unknown>) => {
      const { attempts } = await etcd.stm(
        async (tx) => {
          await tx.get(`${at}read`)
          if (tx.attempt === 1) await change(keys[0] ?? '')
          for (const key of keys) tx.put(key, 'ours')
        },
        { isolation, maxAttempts: 3 },
      )
      return attempts
    }
    for (const [name, change] of Object.entries(changes)) {
      for (const exists of [true, false]) {
        // Of a key that is not there a deletion changes nothing.
        if (!exists && name === 'deleted') continue
        for (const count of [1, 2]) {
          const keys = Array.from({ length: count }, (_, index) => `${at}${name}/${exists}/${count}/${index}`)
          for (const isolation of levels) {
            for (const key of keys) await (exists ? other.put(key, 'before') : other.delete(key))
            const attempts = await run(keys, isolation, change)
            assert.equal(attempts, isolation === 'serializableSnapshot' ? 2 : 1, `${name} ${exists} ${isolation}`)
          }
        }
      }
    }
    assert.equal(await run([`${at}untouched`], 'serializableSnapshot', () => other.put(`${at}another`, '')), 1)
    assert.equal(await run([`${at}absent`], 'serializableSnapshot', () => other.delete(`${at}absent`)), 1)
  })

  test('reads the keys that it only writes once, at its commit, and retries when that revision is compacted', async (t) => {
    const at = uniquePrefix()
    const keys = [`${at}a`, `${at}b`]
    await etcd.put(`${at}a`, '')
    const records = attemptRecords(t)
    const { attempts } = await etcd.stm(async (tx) => {
      await tx.get(`${at}read`)
      for (const key of keys) tx.put(key, 'blind')
      if (tx.attempt === 1) await other.delete(`${at}a`)
    })
    assert.equal(attempts, 2)
    // Its first read, the blind keys, the commit that failed, which brings all of them along, and the one that did not.
    assert.equal(records.filter(({ method }) => method === 'KV.Txn').length, 4)
    const late = await etcd.stm(async (tx) => {
      await tx.get(`${at}read`)
      if (tx.attempt === 1) await other.compact((await other.put(`${at}b`, 'later')).revision)
      tx.put(`${at}b`, 'blind')
    })
    assert.equal(late.attempts, 2)
    assert.equal((await storedKey(cluster, `${at}b`))?.value, 'blind')
  })

  test('preserves the sum of all accounts under concurrent transfers by many clients', async (t) => {
    const at = uniquePrefix()
    const accounts = Array.from({ length: 6 }, (_, index) => `${at}${index}`)
    await Promise.all(accounts.map((account) => etcd.put(account, '100')))
    const clients = [etcd, other, createClient(t, cluster), createClient(t, cluster)]
    const sums = new Set<number>()
    const transfer = async (client: Etcd, from: string, to: string) =>
      client.stm(
        async (tx) => {
          const [mine, theirs] = await Promise.all([numberAt(tx, from), numberAt(tx, to)])
          tx.put(from, String(mine - 1))
          tx.put(to, String(theirs + 1))
        },
        { timeoutMs: 60_000, maxAttempts: 1000 },
      )
    const work = async (client: Etcd, seed: number) => {
      for (let round = 0; round < 12; round += 1) {
        const [from, to] = [(seed + round) % 6, (seed + round * 5 + 1) % 6]
        if (from !== to) await transfer(client, `${at}${from}`, `${at}${to}`)
        const balances = await client.stm((tx) => tx.getAll(accounts))
        sums.add(balances.value.reduce((sum, kv) => sum + Number(kv?.valueText), 0))
      }
    }
    await Promise.all(clients.flatMap((client, index) => [work(client, index), work(client, index + 3)]))
    assert.deepEqual([...sums], [600])
  })

  test('retries after a conflict, and gives up with a typed error', async () => {
    const key = `${uniquePrefix()}counter`
    const increment = async (tx: StmTransaction, rivals: number) => {
      const now = await numberAt(tx, key)
      if (tx.attempt <= rivals) await other.update(key, (current) => String(Number(current?.valueText ?? 0) + 10))
      tx.put(key, String(now + 1))
      return now
    }
    const { value, attempts } = await etcd.stm((tx) => increment(tx, 3))
    assert.deepEqual([value, attempts], [30, 4])
    assert.equal((await etcd.get(key))?.valueText, '31')
    await assert.rejects(
      etcd.stm((tx) => increment(tx, 100), { maxAttempts: 3 }),
      (error) => {
        assert.ok(error instanceof StmConflictError && isEtcdError(error, 'STM_CONFLICT'))
        return error.attempts === 3 && error.effect === 'none'
      },
    )
    assert.equal((await etcd.get(key))?.valueText, '61')
  })

  for (const isolation of levels) {
    const isRefused = isolation !== 'readCommitted'
    test(`${isRefused ? 'prevents' : 'allows'} write skew at the level ${isolation}`, async () => {
      const at = uniquePrefix()
      await etcd.put(`${at}a`, 'on')
      await etcd.put(`${at}b`, 'on')
      // Each switches one off, if both are on; both run before either is committed.
      const arrive = meeting(2)
      const switchOff = (client: Etcd, mine: string) =>
        client.stm(
          async (tx) => {
            const states = await tx.getAll([`${at}a`, `${at}b`])
            await arrive()
            if (states.every((kv) => kv?.valueText === 'on')) tx.put(`${at}${mine}`, 'off')
          },
          { isolation },
        )
      await Promise.all([switchOff(etcd, 'a'), switchOff(other, 'b')])
      const { kvs } = await etcd.range({ prefix: at })
      const on = kvs.filter(({ valueText }) => valueText === 'on').length
      assert.equal(on, isRefused ? 1 : 0)
    })

    const sees = isolation.startsWith('serializable') ? 'a consistent snapshot' : 'keys of different moments'
    test(`reads ${sees} at the level ${isolation}`, async () => {
      const at = uniquePrefix()
      const seen: (string | undefined)[][] = []
      // By this client, as below, so that no member answers it which has not seen that.
      await etcd.put(`${at}a`, '1')
      await etcd.put(`${at}b`, '1')
      const { attempts } = await etcd.stm(
        async (tx) => {
          const a = (await tx.get(`${at}a`))?.valueText
          if (tx.attempt === 1) {
            await other.put(`${at}a`, '2')
            await etcd.put(`${at}b`, '2')
          }
          seen.push([a, (await tx.get(`${at}a`))?.valueText, (await tx.get(`${at}b`))?.valueText])
          tx.put(`${at}c`, 'written')
        },
        { isolation },
      )
      assert.deepEqual(seen[0], ['1', '1', isolation.startsWith('serializable') ? '1' : '2'])
      assert.equal(attempts, isolation === 'readCommitted' ? 1 : 2)
      if (attempts === 2) assert.deepEqual(seen[1], ['2', '2', '2'])
    })

    test(`${isolation === 'serializableSnapshot' ? 'prevents' : 'allows'} a blind overwrite at the level ${isolation}`, async () => {
      const at = uniquePrefix()
      const { attempts } = await etcd.stm(
        async (tx) => {
          await tx.get(`${at}a`)
          if (tx.attempt === 1) await other.put(`${at}b`, 'theirs')
          tx.put(`${at}b`, 'mine')
        },
        { isolation },
      )
      assert.equal(attempts, isolation === 'serializableSnapshot' ? 2 : 1)
      assert.equal((await etcd.get(`${at}b`))?.valueText, 'mine')
    })
  }

  test('prefetches declared keys in one round trip', async (t) => {
    const at = uniquePrefix()
    const keys = Array.from({ length: 20 }, (_, index) => `${at}${index}`)
    await Promise.all(keys.map((key) => etcd.put(key, '1')))
    const records = attemptRecords(t)
    const { value } = await etcd.stm(
      async (tx) => {
        let sum = 0
        for (const key of keys) sum += await numberAt(tx, key)
        tx.put(`${at}0`, String(sum))
        return sum
      },
      { prefetch: keys },
    )
    assert.equal(value, 20)
    assert.deepEqual(
      records.map(({ method }) => method),
      ['KV.Txn', 'KV.Txn'],
    )
  })

  test('restarts when its read revision is compacted', async (t) => {
    const at = uniquePrefix()
    await etcd.put(`${at}a`, '1')
    // The others may compact later, and give what was there for a moment more.
    const one = createClient(t, { endpoints: cluster.endpoints.slice(0, 1) })
    const { attempts, value } = await one.stm(async (tx) => {
      const a = await numberAt(tx, `${at}a`)
      if (tx.attempt === 1) {
        const { revision } = await other.put(`${at}b`, '5')
        await one.compact(revision)
      }
      return a + (await numberAt(tx, `${at}b`))
    })
    assert.deepEqual([attempts, value], [2, 6])
  })

  test('attaches a key to a lease, keeps its lease, or detaches it', async () => {
    const key = `${uniquePrefix()}leased`
    await using lease = await etcd.lease.grant(60)
    const leases: (string | undefined)[] = []
    for (const options of [{ lease: lease.id }, { ignoreLease: true }, {}]) {
      await etcd.stm((tx) => tx.put(key, 'value', options))
      leases.push((await etcd.get(key))?.lease)
    }
    assert.deepEqual(leases, [lease.id, lease.id, undefined])
  })

  test('that only reads commits if nothing it has read has changed, where its reads are at different revisions', async () => {
    const at = uniquePrefix()
    for (const isolation of levels) {
      await etcd.put(`${at}a`, 'before')
      const { value, attempts } = await etcd.stm(
        async (tx) => {
          const [kv] = await tx.getAll([`${at}a`])
          if (tx.attempt === 1) await etcd.put(`${at}a`, 'after')
          return kv?.valueText
        },
        { isolation },
      )
      const expected = isolation === 'repeatableReads' ? ['after', 2] : ['before', 1]
      assert.deepEqual([value, attempts], expected, isolation)
    }
  })

  test('has one time limit for all its attempts', async () => {
    const key = `${uniquePrefix()}contended`
    let runs = 0
    const contended = etcd.stm(
      async (tx) => {
        runs += 1
        await tx.get(key)
        await etcd.put(key, '')
        tx.put(key, 'never')
      },
      { timeoutMs: 400, maxAttempts: 100_000 },
    )
    await assert.rejects(contended, { code: 'DEADLINE_EXCEEDED' })
    assert.ok(runs > 1)
    assert.equal((await etcd.get(key))?.valueText, '')
  })

  test('is not sent when it has more keys than a transaction may have', async (t) => {
    const at = uniquePrefix()
    const records = attemptRecords(t)
    const writing = etcd.stm((tx) => {
      for (let index = 0; index < 129; index += 1) tx.put(`${at}${index}`, '')
    })
    await assert.rejects(writing, (error) => isEtcdError(error, 'TOO_MANY_OPS') && /129 .*128/.test(error.message))
    assert.deepEqual(records, [])
    const { changed } = await etcd.stm((tx) => {
      for (let index = 0; index < 128; index += 1) tx.put(`${at}${index}`, '')
    })
    assert.ok(changed)
  })

  test('is ended by its function, its signal and its deadline, and then writes nothing', async (t) => {
    const at = uniquePrefix()
    const failing = etcd.stm((tx) => {
      tx.put(`${at}a`, '')
      throw new Error('no money')
    })
    await assert.rejects(failing, /no money/)
    const abort = new AbortController()
    const goOn = meeting(2)
    const aborted = etcd.stm(
      async (tx) => {
        tx.put(`${at}a`, '')
        abort.abort(new Error('no longer'))
        await goOn()
        tx.put(`${at}b`, '')
      },
      { signal: abort.signal },
    )
    await assert.rejects(aborted, /no longer/)
    await goOn()
    const endless = async (tx: StmTransaction): Promise<void> => {
      tx.put(`${at}a`, '')
      await new Promise(() => {})
    }
    const isTooLate = (error: unknown): boolean => isEtcdError(error, 'DEADLINE_EXCEEDED') && error.effect === 'none'
    await assert.rejects(etcd.stm(endless, { timeoutMs: 50 }), isTooLate)
    await assert.rejects(createClient(t, cluster, { timeoutMs: 200 }).stm(endless), isTooLate)
    assert.equal((await etcd.range({ prefix: at })).count, 0)
  })

  test('does not commit writes derived from a failed read', async () => {
    const at = uniquePrefix()
    const careless = etcd.stm(async (tx) => {
      const denied = tx.get('x'.repeat(3_000_000)).catch(() => undefined)
      tx.put(`${at}a`, String(await denied))
    })
    await assert.rejects(careless, (error) => isEtcdError(error))
    assert.equal(await etcd.get(`${at}a`), undefined)
  })

  test('rejects operations after its function has returned', async () => {
    let kept: StmTransaction | undefined
    await etcd.stm((tx) => {
      kept = tx
    })
    assert.throws(() => kept?.put('a', ''), /was written by a run of stm\(\) that has ended: is an await missing\?/)
    assert.throws(() => kept?.delete('a'), InvalidArgumentError)
    await assert.rejects(async () => kept?.get('a'), InvalidArgumentError)
  })

  test('whose commit got no answer is reported as unknown, and not sent again', async (t) => {
    const single = await startCluster(t, { proxy: true })
    const client = createClient(t, single)
    await client.put('a', '1')
    let runs = 0
    const committing = client.stm(async (tx) => {
      runs += 1
      tx.put('a', String((await numberAt(tx, 'a')) + 1))
      tx.put('b', 'answer to lose')
      loseAnswerTo(proxyAt(single, 0), 'answer to lose')
    })
    await assert.rejects(committing, (error) => isEtcdError(error) && error.effect === 'unknown')
    assert.equal(runs, 1)
    const stored = await storedKey(single, 'a')
    assert.ok(Number(stored?.value) <= 2 && Number(stored?.version) <= 2)
  })

  test('of a namespace is within it', async () => {
    const at = uniquePrefix()
    await etcd.namespace(at).stm(async (tx) => {
      assert.equal(await tx.get('a'), undefined)
      tx.put('a', '1')
    })
    assert.equal((await etcd.get(`${at}a`))?.valueText, '1')
  })

  test('rejects wrong arguments by name', async () => {
    const js = untyped(etcd)
    await assert.rejects(async () => js.stm?.('a'), /stm\(\) takes a function, got "a"/)
    await assert.rejects(
      async () => js.stm?.(() => {}, { isolation: 'none' }),
      /`isolation` must be 'serializableSnapshot' or/,
    )
    await assert.rejects(async () => js.stm?.(() => {}, { maxAttempts: 0 }), /`maxAttempts` must be a whole number/)
    await assert.rejects(async () => js.stm?.(() => {}, { prefetch: 'a' }), /`prefetch` must be an array of keys/)
    await assert.rejects(async () => js.stm?.(() => {}, { retries: 1 }), /unknown option `retries` of stm\(\)/)
    await assert.rejects(
      etcd.stm((tx) => tx.put('', '')),
      (error) => isEtcdError(error, 'EMPTY_KEY'),
    )
  })
})
