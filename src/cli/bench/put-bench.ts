import { put } from '../../index.js'
import { defineCommand } from '../command.js'
import { integerFlag } from '../units.js'
import { benchFlags, benchSettings, keyFlags, keySettings } from './bench-flags.js'
import { benchKeys, deleteBenchKeys } from './bench-keys.js'
import { connections, operations, runBench, turnOf } from './run-bench.js'

/** Writes keys. */
export const putBench = defineCommand({
  name: 'bench put',
  usage: '',
  summary: 'measure puts',
  details: ['The keys are deleted at the end, unless --keep is given.'],
  flags: { ...benchFlags, ...keyFlags },
  arity: [0, 0],
  async run(context, { flags }) {
    const [settings, keySetting] = [benchSettings(flags), keySettings(flags)]
    const { keyOf, value } = benchKeys(keySetting)
    const clients = await connections(context, settings)
    const { signal } = context
    const workload = operations('bench put', settings, (index, worker) =>
      turnOf(clients, worker).put(keyOf(index), value, { signal }),
    )
    const cleanUp = (): Promise<void> => deleteBenchKeys(turnOf(clients, 0), keySetting.prefix)
    return runBench(context, keySetting.keep ? workload : { ...workload, cleanUp }, flags)
  },
})

/** Writes keys, several in a transaction. */
export const txnPutBench = defineCommand({
  name: 'bench txn-put',
  usage: '',
  summary: 'measure transactions of puts',
  details: ['The keys are deleted at the end, unless --keep is given.'],
  flags: {
    ...benchFlags,
    ...keyFlags,
    'txn-ops': { type: 'string', value: 'N', help: 'puts in each transaction (1)' },
  },
  arity: [0, 0],
  async run(context, { flags }) {
    const [settings, keySetting] = [benchSettings(flags), keySettings(flags)]
    const perTxn = integerFlag('txn-ops', flags['txn-ops'] ?? '1')
    // No key may be written twice in a transaction.
    const { keyOf, value } = benchKeys({
      ...keySetting,
      keySpace: Math.max(keySetting.keySpace, perTxn),
      sequential: true,
    })
    const clients = await connections(context, settings)
    const { signal } = context
    const workload = operations('bench txn-put', settings, (index, worker) => {
      const puts = Array.from({ length: perTxn }, (_, at) => put(keyOf(index * perTxn + at), value))
      return turnOf(clients, worker)
        .txn()
        .then(...puts)
        .commit({ signal })
    })
    const cleanUp = (): Promise<void> => deleteBenchKeys(turnOf(clients, 0), keySetting.prefix)
    return runBench(context, keySetting.keep ? workload : { ...workload, cleanUp }, flags)
  },
})
