import { escapeHtml } from './page.js'

/** The points of a line. */
export type Points = readonly (readonly [x: number, y: number])[]

/** How the numbers of an axis are shown. */
export interface Axis {
  readonly title: string
  readonly format: (value: number) => string
  /** Where the marks are; by default round numbers. */
  readonly ticks?: readonly number[]
}

/** A column of a histogram: the values between two edges. */
export interface HistogramColumn {
  readonly from: number
  readonly to: number
  readonly count: number
}

/** One bar with its name and value. */
export interface Bar {
  readonly label: string
  readonly value: number
  /** The value as text. */
  readonly text: string
  /** The part at the end of the bar that has a lighter color. */
  readonly lighter?: number
}

// As wide as a phone, where the text has its natural size; on a wide screen, charts are side by side.
const [width, height] = [400, 230]
const margin = { left: 62, right: 22, top: 24, bottom: 42 }
const plot = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom }

/** A line chart, as SVG. Colors come from the page's style. */
export function lineChart(title: string, points: Points, x: Axis, y: Axis): string {
  const places = points.map(([at]) => at)
  const [minX, maxX] = [Math.min(...places), Math.max(...places)]
  const yTicks = y.ticks ?? roundTicks(Math.max(0, ...points.map(([, value]) => value)))
  const xTicks = x.ticks ?? roundTicks(maxX).filter((at) => at >= minX && at <= maxX)
  const [toX, toY] = [scaleX(minX, maxX), scaleY(yTicks.at(-1) ?? 1)]
  const path = points.map(([at, value]) => `${fixed(toX(at))},${fixed(toY(value))}`).join(' ')
  return svg(title, [...axes(x, xTicks, toX, y, yTicks, toY), `<polyline class="line" points="${path}"/>`])
}

/** A histogram with columns of any width, as SVG. */
export function histogram(title: string, columns: readonly HistogramColumn[], x: Axis, y: Axis): string {
  const yTicks = roundTicks(Math.max(1, ...columns.map(({ count }) => count))).filter(Number.isInteger)
  const [minX, maxX] = [columns[0]?.from ?? 0, columns.at(-1)?.to ?? 1]
  const [toX, toY] = [scaleX(minX, maxX), scaleY(yTicks.at(-1) ?? 1)]
  const xTicks = roundTicks(maxX).filter((at) => at >= minX && at <= maxX)
  const rects = columns.map(({ from, to, count }) => {
    const [left, right, top] = [toX(from), toX(to), toY(count)]
    const area = `x="${fixed(left)}" y="${fixed(top)}" width="${fixed(Math.max(1, right - left - 1))}" height="${fixed(toY(0) - top)}"`
    const tip = `${x.format(from)} to ${x.format(to)}: ${y.format(count)}`
    return `<rect class="column" ${area}><title>${escapeHtml(tip)}</title></rect>`
  })
  return svg(title, [...axes(x, xTicks, toX, y, yTicks, toY), ...rects])
}

/** A chart of bars under their names and values, as HTML. */
export function barChart(title: string, bars: readonly Bar[]): string {
  if (bars.length === 0) return ''
  const max = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE)
  const share = (value: number): string => `${fixed((Math.max(0, value) / max) * 100)}%`
  const rows = bars.map(({ label, value, text, lighter = 0 }) => {
    const light = lighter > 0 ? `<i class="light" style="width:${share(lighter)}"></i>` : ''
    const track = `<span class="track"><i style="width:${share(value - lighter)}"></i>${light}</span>`
    return `<div class="bar"><span>${escapeHtml(label)}</span><span class="value">${escapeHtml(text)}</span>${track}</div>`
  })
  return `<figure><figcaption>${escapeHtml(title)}</figcaption>\n${rows.join('\n')}\n</figure>`
}

type Scale = (value: number) => number

function scaleX(min: number, max: number): Scale {
  return (value) => margin.left + ((value - min) / (max - min || 1)) * plot.width
}

function scaleY(max: number): Scale {
  return (value) => margin.top + (1 - value / max) * plot.height
}

function axes(
  x: Axis,
  xTicks: readonly number[],
  toX: Scale,
  y: Axis,
  yTicks: readonly number[],
  toY: Scale,
): string[] {
  return [
    ...yTicks.map((value) => horizontal(toY(value), y.format(value))),
    ...xTicks.map((at) => text(toX(at), height - margin.bottom + 18, 'middle', x.format(at))),
    text(margin.left + plot.width / 2, height - 6, 'middle', x.title),
    text(2, 13, '', y.title),
  ]
}

function svg(title: string, parts: readonly string[]): string {
  const head = `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}">`
  return [`<figure><figcaption>${escapeHtml(title)}</figcaption>${head}`, ...parts, '</svg></figure>'].join('\n')
}

function text(x: number, y: number, look: string, content: string): string {
  return `<text class="${look}" x="${fixed(x)}" y="${fixed(y)}">${escapeHtml(content)}</text>`
}

function horizontal(y: number, label: string): string {
  const line = `<line class="rule" x1="${margin.left}" x2="${width - margin.right}" y1="${fixed(y)}" y2="${fixed(y)}"/>`
  return line + text(margin.left - 8, y + 4, 'end', label)
}

/** Round numbers from 0 to `max` or a little more: steps of 1, 2 or 5 times a power of ten. */
export function roundTicks(max: number, count = 5): number[] {
  if (!(max > 0)) return [0, 1]
  const power = 10 ** Math.floor(Math.log10(max / count))
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power * count >= max * 0.999) ?? 10)
  // Multiples, because sums accumulate errors.
  return Array.from({ length: Math.ceil(max / step - 1e-9) + 1 }, (_, index) => Number((index * step).toPrecision(12)))
}

function fixed(value: number): string {
  return value.toFixed(1)
}
