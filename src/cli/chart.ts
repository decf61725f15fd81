import { escapeHtml } from './page.js'

/** A line of a chart. */
export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

/** How the numbers of an axis are shown. */
export interface Axis {
  readonly title: string
  readonly format: (value: number) => string
  /** Where the marks are; by default round numbers. */
  readonly ticks?: readonly number[]
}

/** One bar. */
export interface Bar {
  readonly label: string
  readonly value: number
  /** What stands beside it. */
  readonly text: string
  /** A part of the bar, drawn in a lighter colour at its end. */
  readonly lighter?: number
}

const [width, height] = [720, 240]
const margin = { left: 70, right: 28, top: 12, bottom: 40 }
const plot = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom }

/** A chart of lines, as SVG. Colours come from the page's style. */
export function lineChart(title: string, series: readonly Series[], x: Axis, y: Axis): string {
  const points = series.flatMap(({ points }) => points)
  const [xLeast, xMost] = [Math.min(...points.map(([at]) => at)), Math.max(...points.map(([at]) => at))]
  const yTicks = y.ticks ?? roundTicks(Math.max(0, ...points.map(([, value]) => value)))
  const yMost = yTicks.at(-1) ?? 1
  const toX = (at: number): number => margin.left + ((at - xLeast) / (xMost - xLeast || 1)) * plot.width
  const toY = (value: number): number => margin.top + (1 - value / yMost) * plot.height
  const lines = series.map(
    ({ points }, index) =>
      `<polyline class="line s${index}" points="${points.map(([at, v]) => `${fixed(toX(at))},${fixed(toY(v))}`).join(' ')}"/>`,
  )
  const legend = series.length < 2 ? [] : series.map(({ name }, index) => legendEntry(name, index))
  const xTicks = x.ticks ?? roundTicks(xMost).filter((at) => at >= xLeast && at <= xMost)
  return svg(title, height, [
    ...yTicks.map((value) => horizontal(toY(value), y.format(value))),
    ...xTicks.map((at) => text(toX(at), height - margin.bottom + 16, 'tick middle', x.format(at))),
    text(margin.left + plot.width / 2, height - 6, 'axis middle', x.title),
    text(margin.left + 4, margin.top + 10, 'axis', y.title),
    ...lines,
    ...legend,
  ])
}

/** A chart of upright bars, as SVG: a histogram. */
export function columnChart(title: string, bars: readonly Bar[], x: Axis, y: Axis): string {
  const ticks = roundTicks(Math.max(1, ...bars.map(({ value }) => value)))
  const most = ticks.at(-1) ?? 1
  const step = plot.width / Math.max(1, bars.length)
  const toY = (value: number): number => margin.top + (1 - value / most) * plot.height
  const columns = bars.flatMap(({ label, value, text: tip }, index) => {
    const [left, top] = [margin.left + index * step, toY(value)]
    const area = `x="${fixed(left + step * 0.1)}" y="${fixed(top)}" width="${fixed(step * 0.8)}" height="${fixed(margin.top + plot.height - top)}"`
    return [
      `<rect class="bar" ${area}><title>${escapeHtml(tip)}</title></rect>`,
      text(left + step / 2, height - margin.bottom + 16, 'tick middle', label),
    ]
  })
  return svg(title, height, [
    ...ticks.map((value) => horizontal(toY(value), y.format(value))),
    text(margin.left + plot.width / 2, height - 6, 'axis middle', x.title),
    ...columns,
  ])
}

const barHeight = 22
const labelWidth = 220
const textWidth = 230

/** A chart of lying bars with their names, as SVG. */
export function barChart(title: string, bars: readonly Bar[]): string {
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE)
  const room = width - labelWidth - textWidth
  const rows = bars.flatMap(({ label, value, text: beside, lighter = 0 }, index) => {
    const y = 6 + index * barHeight
    const [length, part] = [(value / most) * room, (lighter / most) * room]
    const rest = Math.max(0, length - part)
    return [
      text(labelWidth - 8, y + 14, 'tick end', shorten(label)),
      `<rect class="bar" x="${labelWidth}" y="${y + 2}" width="${fixed(rest)}" height="${barHeight - 6}"/>`,
      `<rect class="bar light" x="${fixed(labelWidth + rest)}" y="${y + 2}" width="${fixed(part)}" height="${barHeight - 6}"/>`,
      text(labelWidth + length + 6, y + 14, 'tick', beside),
    ]
  })
  return svg(title, 12 + bars.length * barHeight, rows)
}

function svg(title: string, height: number, parts: readonly string[]): string {
  const head = `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}">`
  return [`<figure><figcaption>${escapeHtml(title)}</figcaption>${head}`, ...parts, '</svg></figure>'].join('\n')
}

function text(x: number, y: number, look: string, content: string): string {
  return `<text class="${look}" x="${fixed(x)}" y="${fixed(y)}">${escapeHtml(content)}</text>`
}

function horizontal(y: number, label: string): string {
  const line = `<line class="grid" x1="${margin.left}" x2="${width - margin.right}" y1="${fixed(y)}" y2="${fixed(y)}"/>`
  return line + text(margin.left - 8, y + 4, 'tick end', label)
}

function legendEntry(name: string, index: number): string {
  const x = margin.left + 120 + index * 150
  return `<rect class="key s${index}" x="${x}" y="${margin.top + 2}" width="10" height="10"/>${text(x + 14, margin.top + 11, 'tick', shorten(name))}`
}

/** Round numbers from 0 to `most` or a little more: steps of 1, 2 or 5 times a power of ten. */
export function roundTicks(most: number, count = 4): number[] {
  if (!(most > 0)) return [0, 1]
  const power = 10 ** Math.floor(Math.log10(most / count))
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power * count >= most * 0.999) ?? 10)
  // Multiples, not sums, for they gather errors.
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, index) => Number((index * step).toPrecision(12)))
}

function shorten(label: string): string {
  const letters = [...label]
  return letters.length <= 34 ? label : `${letters.slice(0, 33).join('')}…`
}

function fixed(value: number): string {
  return value.toFixed(1)
}
