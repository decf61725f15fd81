import { UsageError } from '../usage-error.js'

/** The part of a benchmark that one of several processes makes. */
export interface Share {
  readonly index: number
  readonly of: number
}

/** Names its share to a process that another one has started for it, as `0/4`. */
export const shareVariable = 'ETCDKIT_BENCH_SHARE'

/** The share of this process: all of it, unless it was started for a part. */
export function shareOf(env: Readonly<Record<string, string | undefined>>): Share {
  const [, index = '0', of = '1'] = /^(\d+)\/(\d+)$/.exec(env[shareVariable] ?? '') ?? []
  return { index: Number(index), of: Number(of) }
}

/** The number of things, of `total`, that fall to a share. */
export function portionOf(total: number, { index, of }: Share): number {
  return Math.floor(total / of) + (index < total % of ? 1 : 0)
}

/** The first of `total` things that falls to a share. */
export function firstOf(total: number, { index, of }: Share): number {
  return index * Math.floor(total / of) + Math.min(index, total % of)
}

/** Throws `UsageError` where a process would have nothing to do. */
export function checkProcesses(processes: number, counts: Readonly<Record<string, number>>): void {
  for (const [flag, count] of Object.entries(counts))
    if (processes > count) throw new UsageError(`--processes must be at most --${flag}: got ${processes} and ${count}`)
}
