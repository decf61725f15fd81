import { consistencyFlags, keyRangeOf, rangeFlags, readModeOf } from '../key-range-flags.js'
import { integerFlag } from '../units.js'
import { benchFlags, benchSettings } from './bench-flags.js'
import { connections, defineBench, operations, runBench, turnOf } from './run-bench.js'

/** Reads a key or a range. */
export const rangeBench = defineBench({
  name: 'bench range',
  usage: 'KEY [END]',
  summary: 'measure reads of a key or a range of keys',
  details: ['It reads what is there and changes nothing.'],
  flags: {
    ...benchFlags,
    ...rangeFlags,
    ...consistencyFlags,
    limit: { type: 'string', value: 'N', help: 'maximum number of keys' },
    'keys-only': { type: 'boolean', help: 'leave the values out' },
    'count-only': { type: 'boolean', help: 'only how many keys there are' },
  },
  arity: [1, 2],
  async run(context, { flags, args }) {
    const settings = benchSettings(flags, context)
    const { range } = keyRangeOf(args, flags)
    const { signal } = context
    const mode = readModeOf(flags)
    const limit = flags.limit === undefined ? undefined : integerFlag('limit', flags.limit)
    const clients = await connections(context, settings)
    const workload = operations('bench range', settings, async (_, worker) => {
      const etcd = turnOf(clients, worker)
      if (flags['count-only'] !== true) return etcd.range(range, { mode, limit, keysOnly: flags['keys-only'], signal })
      await etcd.count(range, { mode, signal })
      return {}
    })
    return runBench(context, workload, flags)
  },
})
