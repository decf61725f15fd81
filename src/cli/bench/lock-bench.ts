import { setTimeout as delay } from 'node:timers/promises'
import { defineCommand } from '../command.js'
import { durationFlagMs, integerFlag, ttlFlagSeconds } from '../units.js'
import { benchFlags, benchSettings } from './bench-flags.js'
import { connections, operations, runBench, turnOf } from './run-bench.js'

const { conns, rate, html, 'target-leader': targetLeader } = benchFlags

/** Takes locks that others want, too. */
export const lockBench = defineCommand({
  name: 'bench lock',
  usage: '',
  summary: 'measure how long it takes to get a lock that others want, too',
  details: [
    'Every contender of every lock asks at once, holds the lock for --hold, and gives it back. The contenders of a lock',
    'that share a connection queue in this process first; with as many --conns as --contenders all queue in etcd.',
  ],
  flags: {
    conns,
    rate,
    html,
    'target-leader': targetLeader,
    locks: { type: 'string', value: 'N', help: 'different locks (100)' },
    contenders: { type: 'string', value: 'N', help: 'how many want each (10)' },
    hold: { type: 'string', value: 'DURATION', help: 'how long each holds it (0s)' },
    ttl: { type: 'string', value: 'DURATION', help: 'how long a lock outlives its holder (60s)' },
    timeout: { type: 'string', value: 'DURATION', help: 'how long to wait for a lock (10m)' },
    prefix: { type: 'string', value: 'TEXT', help: 'what the names of the locks begin with (etcdkit-bench/lock-)' },
  },
  arity: [0, 0],
  async run(context, { flags }) {
    const locks = integerFlag('locks', flags.locks ?? '100')
    const total = locks * integerFlag('contenders', flags.contenders ?? '10')
    const settings = { ...benchSettings(flags, context), total, clients: total }
    const holdMs = durationFlagMs('hold', flags.hold ?? '0s')
    const prefix = flags.prefix ?? 'etcdkit-bench/lock-'
    const { signal } = context
    const options = {
      ttlSeconds: ttlFlagSeconds('ttl', flags.ttl ?? '60s'),
      timeoutMs: durationFlagMs('timeout', flags.timeout ?? '10m'),
      signal,
    }
    const clients = await connections(context, settings)
    const workload = operations('bench lock', settings, async (index) => {
      const askedAt = performance.now()
      const contender = Math.floor(index / locks)
      const lock = await turnOf(clients, contender).lock(`${prefix}${index % locks}`, options)
      const durationMs = performance.now() - askedAt
      if (holdMs > 0) await delay(holdMs)
      await lock.release()
      return settings.rate === 0 ? { durationMs } : {}
    })
    return runBench(context, workload, flags)
  },
})
