import type { Etcd, Watcher } from '../../index.js'
import { defineCommand } from '../command.js'
import { integerFlag } from '../units.js'
import { benchFlags, benchSettings } from './bench-flags.js'
import { keyCleaner } from './bench-keys.js'
import { runLoad } from './load.js'
import { connections, runBench, turnOf } from './run-bench.js'
import { Samples } from './samples.js'

const { html, 'target-leader': targetLeader } = benchFlags

/** Watches keys that are written. */
export const watchBench = defineCommand({
  name: 'bench watch',
  usage: '',
  summary: 'measure the time from a put to the event at each watcher',
  details: [
    'Each stream is a separate client. Watchers of one key that share a stream share one watcher in etcd.',
    'The keys that it has made are deleted at the end; keys that were there before stay.',
  ],
  flags: {
    html,
    'target-leader': targetLeader,
    streams: { type: 'string', value: 'N', help: 'watch streams (10)' },
    'watch-per-stream': { type: 'string', value: 'N', help: 'watchers on each stream (100)' },
    'watched-key-total': { type: 'string', value: 'N', help: 'different keys that are watched (1)' },
    'put-total': { type: 'string', value: 'N', help: 'puts in all, to one key after the other (1000)' },
    'put-rate': { type: 'string', value: 'N', help: 'puts per second (0: no limit)' },
    'val-size': { type: 'string', value: 'BYTES', help: 'size of a value (32)' },
  },
  arity: [0, 0],
  async run(context, { flags }) {
    const keys = integerFlag('watched-key-total', flags['watched-key-total'] ?? '1')
    const puts = integerFlag('put-total', flags['put-total'] ?? '1000')
    const perStream = integerFlag('watch-per-stream', flags['watch-per-stream'] ?? '100')
    const valueBytes = integerFlag('val-size', flags['val-size'] ?? '32', 0)
    const conns = integerFlag('streams', flags.streams ?? '10')
    const rate = integerFlag('put-rate', flags['put-rate'] ?? '0', 0)
    const { signal } = context
    const clients = await connections(context, { ...benchSettings(flags, context), conns })
    const watched = Array.from({ length: conns * perStream }, (_, at) => at % keys)
    const watchersOf = (key: number): number => watched.filter((other) => other === key).length
    const counts = Array.from({ length: keys }, (_, key) => watchersOf(key))
    const total = Array.from({ length: puts }, (_, index) => counts[index % keys] ?? 0).reduce((sum, n) => sum + n, 0)
    const run = async (samples: Samples): Promise<void> => {
      const sentAt = new Float64Array(puts)
      const watchers = watched.map((key, at) => turnOf(clients, at).watch(keyName(key), { signal }))
      await Promise.all(watchers.map((watcher) => watcher.ready({ signal })))
      const following = watchers.map((watcher, at) =>
        follow(watcher, { sentAt, samples, puts: putsTo(watched[at] ?? 0, puts, keys) }),
      )
      const writing = write(turnOf(clients, 0), { sentAt, keys, valueBytes, rate, signal })
      await Promise.all([writing, ...following]).finally(() => writing.catch(() => {}))
    }
    const names = { prefix, count: keys, nameOf: String, numberOf: Number }
    const cleanUp = await keyCleaner(turnOf(clients, 0), names, signal)
    return runBench(context, { name: 'bench watch', total, run, cleanUp }, flags)
  },
})

const prefix = 'etcdkit-bench/watch/'

function keyName(key: number): string {
  return `${prefix}${key}`
}

/** How many of `puts` are to this key. */
function putsTo(key: number, puts: number, keys: number): number {
  return Math.floor((puts - 1 - key) / keys) + 1
}

/** Takes the time of the events of one watcher until it has had all; a value begins with the number of its put. */
async function follow(
  watcher: Watcher,
  { sentAt, samples, puts }: { readonly sentAt: Float64Array; readonly samples: Samples; readonly puts: number },
): Promise<void> {
  let left = puts
  if (left <= 0) return watcher.close()
  for await (const { kv } of watcher) {
    samples.succeeded(performance.now() - (sentAt[Number.parseInt(kv.valueText, 10)] ?? 0), watcher.status.endpoint)
    left -= 1
    if (left <= 0) break
  }
}

interface Writing {
  readonly sentAt: Float64Array
  readonly keys: number
  readonly valueBytes: number
  readonly rate: number
  readonly signal: AbortSignal
}

async function write(etcd: Etcd, { sentAt, keys, valueBytes, rate, signal }: Writing): Promise<void> {
  const total = sentAt.length
  const samples = new Samples(total)
  const operation = async (index: number): Promise<{ endpoint: string }> => {
    sentAt[index] = performance.now()
    return etcd.put(keyName(index % keys), `${index} `.padEnd(valueBytes, '.'))
  }
  await runLoad(operation, samples, { total, clients: 1, rate, signal })
  const [error] = samples.errors.keys()
  // Watchers would wait for the event for ever.
  if (error !== undefined) throw new Error(`a put has failed: ${error}`)
}
