import { type EncodedRange, isOpenEnd, overlap, successor } from '../core/key-range.js'

/** All keys `>= start` and `< end`; without `end`, all keys `>= start`. */
interface Interval {
  readonly start: Buffer
  readonly end: Buffer | undefined
}

const none = Buffer.alloc(0)
const zero = Buffer.from([0])

/** The same keys as ranges without a key in common, in key order: ranges that overlap or touch are joined. */
export function disjointRanges(ranges: readonly EncodedRange[]): EncodedRange[] {
  const sorted = ranges.map(intervalOf).sort((a, b) => Buffer.compare(a.start, b.start))
  const joined: Interval[] = []
  for (const interval of sorted) {
    const last = joined.at(-1)
    if (last === undefined || isBefore(last, interval)) joined.push(interval)
    else joined[joined.length - 1] = { start: last.start, end: laterEnd(last.end, interval.end) }
  }
  return joined.map(rangeOf)
}

/** The smallest range that covers all of these, which are in key order. */
export function coveringRange(ranges: readonly EncodedRange[]): EncodedRange {
  const intervals = ranges.map(intervalOf)
  return rangeOf({ start: intervals[0]?.start ?? zero, end: intervals.at(-1)?.end })
}

/** Whether one of the ranges has the key. */
export function hasKey(ranges: readonly EncodedRange[], key: Buffer): boolean {
  return ranges.some((range) => overlap(range, { key, rangeEnd: none }))
}

function intervalOf({ key, rangeEnd }: EncodedRange): Interval {
  if (rangeEnd.length === 0) return { start: key, end: successor(key) }
  return { start: key, end: isOpenEnd(rangeEnd) ? undefined : rangeEnd }
}

function rangeOf({ start, end }: Interval): EncodedRange {
  if (end === undefined) return { key: start, rangeEnd: zero }
  return { key: start, rangeEnd: end.equals(successor(start)) ? none : end }
}

/** Whether there is a gap between the ranges. */
function isBefore({ end }: Interval, { start }: Interval): boolean {
  return end !== undefined && Buffer.compare(end, start) < 0
}

function laterEnd(one: Buffer | undefined, other: Buffer | undefined): Buffer | undefined {
  if (one === undefined || other === undefined) return undefined
  return Buffer.compare(one, other) >= 0 ? one : other
}
