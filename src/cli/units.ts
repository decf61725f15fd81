import { goDurationMs } from '../core/go-duration.js'
import { UsageError } from './usage-error.js'

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** A readable size, such as `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  const power = Math.min(byteUnits.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, Math.abs(bytes))) / 10)))
  return `${formatNumber(bytes / 1024 ** power, power === 0 ? 0 : 1)} ${byteUnits[power]}`
}

/** A readable duration, such as `0.42 ms` or `1 h 5 m`. */
export function formatMs(ms: number): string {
  if (ms < 1) return `${formatNumber(ms, 2)} ms`
  if (ms < 10) return `${ms.toFixed(1)} ms`
  if (ms < 1000) return `${ms.toFixed(0)} ms`
  const seconds = ms / 1000
  if (seconds < 60) return `${formatNumber(seconds, seconds < 10 ? 1 : 0)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${Math.round(seconds % 60)} s`
  return seconds < 86_400
    ? `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} m`
    : `${Math.floor(seconds / 86_400)} d ${Math.round((seconds % 86_400) / 3600)} h`
}

/** A number with at most `digits` decimals and thousands separators. */
export function formatNumber(value: number, digits = 0): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: digits })
}

/** A share, such as `12 %`. */
export function formatShare(share: number): string {
  return `${formatNumber(share * 100, share < 0.1 ? 1 : 0)} %`
}

/** The name of a flag or an argument on the command line. Arguments have the names of the usage, such as `KEY`. */
function shown(name: string): string {
  return name === name.toUpperCase() ? name : `--${name}`
}

/** The value of a duration flag: `30s`, or seconds without a unit. */
export function durationFlagMs(flag: string, text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  try {
    return goDurationMs(shown(flag), text)
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

/** The value of a TTL flag, in whole seconds: etcd has no shorter TTL. */
export function ttlFlagSeconds(flag: string, text: string): number {
  const seconds = Math.ceil(durationFlagMs(flag, text) / 1000)
  if (seconds >= 1) return seconds
  throw new UsageError(`${shown(flag)} must be at least one second, got ${text}`)
}

/** The value of an integer flag whose default is 0, as in etcdctl: 0 is the same as no flag. */
export function optionalIntegerFlag(flag: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : integerFlag(flag, text, 0) || undefined
}

/** The value of an integer flag of at least `min`. */
export function integerFlag(flag: string, text: string, min = 1): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(value) && value >= min) return value
  throw new UsageError(`${shown(flag)} must be a whole number of at least ${min}, got ${JSON.stringify(text)}`)
}
