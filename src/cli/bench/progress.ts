import type { Notes } from '../command.js'
import { formatMs, formatNumber } from '../units.js'

const barWidth = 24
const everyMs = 100
/** The rate is that of the last moments, so that a stall shows. */
const windowMs = 2000

/** Shows how far a run is, on a terminal, until the returned function is called. */
export function showProgress(notes: Notes, total: number, done: () => number): () => void {
  if (!notes.isTTY) return () => {}
  const points = [{ at: performance.now(), done: 0 }]
  const timer = setInterval(() => {
    const now = { at: performance.now(), done: done() }
    points.push(now)
    while (points.length > 2 && now.at - (points[0]?.at ?? 0) > windowMs) points.shift()
    const [first = now] = points
    notes.status(progressLine(now.done, total, ((now.done - first.done) * 1000) / Math.max(1, now.at - first.at)))
  }, everyMs)
  return () => {
    clearInterval(timer)
    notes.clear()
  }
}

/** One line with the progress of a run. */
export function progressLine(done: number, total: number, perSecond: number): string {
  const share = total === 0 ? 1 : done / total
  const filled = Math.round(share * barWidth)
  const bar = '█'.repeat(filled) + '░'.repeat(barWidth - filled)
  const left = perSecond > 0 ? `${formatMs(((total - done) / perSecond) * 1000)} left` : 'standing still'
  return `${bar} ${formatNumber(share * 100).padStart(3)} %  ${formatNumber(perSecond)}/s  ${left}`
}
