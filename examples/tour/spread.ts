import { type Verdict, whole } from './screen.js'
import { countGreetings, rangesServed, repeat, type Stage } from './stage.js'

const calls = 3000
const inFlight = 32
const barLength = 40

/** Makes many reads, and shows from the members' metrics that each served a third. */
export async function spreadEvenly(stage: Stage): Promise<Verdict> {
  const before = await rangesServed(stage)
  const startedAt = performance.now()
  await repeat(calls, inFlight, () => countGreetings(stage))
  const seconds = (performance.now() - startedAt) / 1000
  const served = (await rangesServed(stage)).map((count, index) => count - (before[index] ?? 0))
  for (const [index, count] of served.entries()) {
    const bar = '█'.repeat(Math.round((count / calls) * barLength))
    stage.screen.row(stage.cluster.members[index]?.name ?? '', `${whole(count).padStart(6)} ${bar}`)
  }
  return spreadVerdict(served, seconds)
}

/** Each call was served once, and each member served a third, give or take the first calls in flight. */
export function spreadVerdict(served: readonly number[], seconds: number): Verdict {
  const apart = Math.max(...served) - Math.min(...served)
  const total = served.reduce((sum, count) => sum + count, 0)
  return {
    holds: total === calls && apart <= served.length,
    text: `${whole(total)} reads over ${served.length} members, at most ${apart} apart, ${whole(total / seconds)}/s`,
  }
}
