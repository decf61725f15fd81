import { put } from '../../index.js'
import { integerFlag } from '../units.js'
import { benchFlags, benchSettings, keyFlags, keySettings } from './bench-flags.js'
import { benchKeys, keyCleaner } from './bench-keys.js'
import { connections, defineBench, operations, runBench, turnOf } from './run-bench.js'

const keyDetails = [
  'The keys that it has made are deleted at the end, unless --keep is given. Keys that were there before stay, also those',
  'that it has written over.',
]

/** Writes keys. */
export const putBench = defineBench({
  name: 'bench put',
  usage: '',
  summary: 'measure puts',
  details: keyDetails,
  flags: { ...benchFlags, ...keyFlags },
  arity: [0, 0],
  async run(context, { flags }) {
    const [settings, keySetting] = [benchSettings(flags, context), keySettings(flags)]
    const keys = benchKeys(keySetting)
    const clients = await connections(context, settings)
    const { signal } = context
    const workload = operations('bench put', settings, (index, worker) =>
      turnOf(clients, worker).put(keys.keyOf(index), keys.value),
    )
    const cleanUp = keySetting.keep ? undefined : await keyCleaner(turnOf(clients, 0), keys.names, signal)
    return runBench(context, { ...workload, cleanUp }, flags)
  },
})

/** Writes keys, several in a transaction. */
export const txnPutBench = defineBench({
  name: 'bench txn-put',
  usage: '',
  summary: 'measure transactions of puts',
  details: keyDetails,
  flags: {
    ...benchFlags,
    ...keyFlags,
    'txn-ops': { type: 'string', value: 'N', help: 'puts in each transaction (1)' },
  },
  arity: [0, 0],
  async run(context, { flags }) {
    const [settings, keySetting] = [benchSettings(flags, context), keySettings(flags)]
    const perTxn = integerFlag('txn-ops', flags['txn-ops'] ?? '1')
    // No key may be written twice in a transaction.
    const keys = benchKeys({
      ...keySetting,
      keySpace: Math.max(keySetting.keySpace, perTxn),
      sequential: true,
    })
    const clients = await connections(context, settings)
    const { signal } = context
    const workload = operations('bench txn-put', settings, (index, worker) => {
      const puts = Array.from({ length: perTxn }, (_, at) => put(keys.keyOf(index * perTxn + at), keys.value))
      return turnOf(clients, worker)
        .txn()
        .then(...puts)
        .commit()
    })
    const cleanUp = keySetting.keep ? undefined : await keyCleaner(turnOf(clients, 0), keys.names, signal)
    return runBench(context, { ...workload, cleanUp }, flags)
  },
})
