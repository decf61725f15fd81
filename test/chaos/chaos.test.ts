import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runAndKeep } from './kept-run.js'

/** Other faults in another order with `ETCDKIT_CHAOS_SEED=7`. */
const seed = Number(process.env.ETCDKIT_CHAOS_SEED ?? 1)
const seconds = 45

test(`all checkers hold over ${seconds} s of calls of all kinds under the faults of seed ${seed}`, {
  timeout: 400_000,
}, async (t) => {
  const violations = await runAndKeep({
    seconds,
    seed,
    members: 3,
    processes: 2,
    etcd: undefined,
    transport: process.env.ETCDKIT_TRANSPORT === 'grpc-js' ? 'grpc-js' : 'http2',
    auth: true,
    tls: true,
    log: (line) => t.diagnostic(line),
  })
  assert.deepEqual(violations, [])
})
