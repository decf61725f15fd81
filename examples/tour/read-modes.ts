import type { RangeResult, ReadMode } from 'etcdkit'
import { ms, type Verdict } from './screen.js'
import { memberName, type Stage } from './stage.js'

const key = 'tour/greeting'
const value = 'hello from three members'
const samples = 300

/** Writes a key and reads it in both modes: each read must return the written value, at that revision or later. */
export async function readBothWays(stage: Stage): Promise<Verdict> {
  const { etcd, screen } = stage
  const startedAt = performance.now()
  const written = await etcd.put(key, value)
  row(stage, 'put', written, performance.now() - startedAt)
  let right = true
  for (const mode of ['linearizable', 'serializable'] as const) {
    const { results, medianMs } = await measure(stage, mode)
    const last = results.at(-1)
    if (last !== undefined) row(stage, mode, last, medianMs)
    right &&= results.every(({ kvs, revision }) => kvs[0]?.valueText === value && revision >= written.revision)
  }
  screen.row('', `read latencies are medians of ${samples} sequential reads`)
  return { holds: right, text: `${2 * samples} reads returned the value just written, none an older one` }
}

function row({ screen, ...stage }: Stage, name: string, response: ReadResponse, durationMs: number): void {
  const member = memberName({ screen, ...stage }, response.endpoint)
  screen.row(name, `answered by ${member} at revision ${response.revision} in ${ms(durationMs)}`)
}

type ReadResponse = Pick<RangeResult, 'endpoint' | 'revision'>

async function measure({ etcd }: Stage, mode: ReadMode): Promise<{ results: RangeResult[]; medianMs: number }> {
  const results: RangeResult[] = []
  const times: number[] = []
  for (let sample = 0; sample < samples; sample += 1) {
    const startedAt = performance.now()
    results.push(await etcd.range(key, { mode }))
    times.push(performance.now() - startedAt)
  }
  times.sort((a, b) => a - b)
  return { results, medianMs: times[samples >> 1] ?? 0 }
}
