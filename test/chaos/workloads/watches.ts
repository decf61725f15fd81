import type { KeyRange, WatchBatch } from '../../../src/index.js'
import { eventText } from '../records.js'
import type { Workplace } from '../worker.js'

/** Ranges that one watch follows together: few and many events, in the order of the keys or not. */
const prefixes = ['reg/', 'acc/', 'reads/']

/** Follows everything, and some ranges with one watch, from the beginning to the key that ends the run. */
export async function watches(workplace: Workplace, moved: (revision: number) => void): Promise<void> {
  const { worker, endKey } = workplace.task
  const positions = { all: 0, several: 0 }
  const passed = (watch: keyof typeof positions, revision: number): void => {
    positions[watch] = Math.max(positions[watch], revision)
    moved(Math.min(positions.all, positions.several))
  }
  const ranges = [...prefixes, endKey]
  await Promise.all([
    follow(workplace, { watch: `watch ${worker}` }, { from: '' }, (revision) => passed('all', revision)),
    follow(
      workplace,
      { watch: `watch of several ranges ${worker}`, prefixes: ranges },
      ranges.map((prefix) => ({ prefix })),
      (revision) => passed('several', revision),
    ),
  ])
}

async function follow(
  { task, etcd, journal }: Workplace,
  names: { readonly watch: string; readonly prefixes?: readonly string[] },
  ranges: KeyRange | readonly KeyRange[],
  moved: (revision: number) => void,
): Promise<void> {
  for await (const batch of etcd.watch(ranges, { startRevision: 1, progress: true }).batches()) {
    const { revision, events } = batch
    journal.write({ kind: 'batch', ...names, revision, events: shown(batch) })
    journal.count('watch batch', 'ok')
    moved(revision)
    if (events.some(({ kv }) => kv.key.toString() === task.endKey)) break
  }
}

function shown({ events }: WatchBatch): string[] {
  return events.map(({ type, kv }) =>
    eventText({
      type,
      key: kv.key.toString('latin1'),
      value: kv.value.toString('latin1'),
      revision: kv.modRevision,
    }),
  )
}
