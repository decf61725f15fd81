import { isUtf8 } from 'node:buffer'

const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/** A size as etcdctl prints it: in powers of 1000, with one decimal below 10. */
export function goBytes(bytes: number): string {
  if (bytes < 10) return `${bytes} B`
  const power = Math.min(byteUnits.length - 1, Math.floor(Math.log(bytes) / Math.log(1000)))
  const value = Math.floor((bytes / 1000 ** power) * 10 + 0.5) / 10
  return `${value < 10 ? value.toFixed(1) : halfToEven(value)} ${byteUnits[power]}`
}

/** Go rounds 20.5 to 20. */
function halfToEven(value: number): number {
  const floor = Math.floor(value)
  if (value - floor !== 0.5) return Math.round(value)
  return floor % 2 === 0 ? floor : floor + 1
}

/** Bytes as a string literal of Go, as with `%q`. */
export function goQuote(bytes: Buffer): string {
  const text = isUtf8(bytes)
    ? JSON.stringify(bytes.toString())
    : JSON.stringify(bytes.toString('latin1')).replace(/[\u0080-\u00ff]/g, hexEscape)
  return text.replace(/\\u00([0-9a-f]{2})/g, '\\x$1').replaceAll('\u007f', '\\x7f')
}

function hexEscape(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16)}`
}

/** A duration as Go prints it, such as `2.5ms` or `1m0.25s`. */
export function goDuration(ms: number): string {
  if (ms < 1) return `${trimmed(ms * 1000)}µs`
  if (ms < 1000) return `${trimmed(ms)}ms`
  const minutes = Math.floor(ms / 60_000)
  const seconds = `${trimmed((ms % 60_000) / 1000)}s`
  if (minutes === 0) return seconds
  return minutes < 60 ? `${minutes}m${seconds}` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}`
}

function trimmed(value: number): string {
  return String(Number(value.toFixed(6)))
}
