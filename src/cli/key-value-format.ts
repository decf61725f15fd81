import { isUtf8 } from 'node:buffer'
import type { KeyValue } from '../index.js'
import type { Column } from './table.js'

/** Bytes in JSON: text under `name`, or base64 under `nameBase64` if they are not UTF-8. */
export function bytesField(name: string, bytes: Buffer): Record<string, string> {
  return isUtf8(bytes) ? { [name]: bytes.toString() } : { [`${name}Base64`]: bytes.toString('base64') }
}

/** A key in JSON; without the value if only the key was read. */
export function keyValueJson(kv: KeyValue, isKeyOnly = false): Record<string, unknown> {
  const { createRevision, modRevision, version, lease } = kv
  const value = isKeyOnly ? {} : bytesField('value', kv.value)
  return { ...bytesField('key', kv.key), ...value, createRevision, modRevision, version, lease }
}

/** Bytes for a table cell: on one line, truncated if long. */
export function cellOf(bytes: Buffer, longest = 60): string {
  const text = isUtf8(bytes) ? bytes.toString() : `0x${bytes.toString('hex')}`
  // Quotes mark text that would be ambiguous without them.
  const shown = /^[\p{L}\p{M}\p{N}\p{P}\p{S}]([\p{L}\p{M}\p{N}\p{P}\p{S} ]*[\p{L}\p{M}\p{N}\p{P}\p{S}])?$/u.test(text)
    ? text
    : JSON.stringify(text)
  const letters = [...shown]
  return letters.length <= longest ? shown : `${letters.slice(0, longest - 1).join('')}…`
}

/** The columns of a table of keys. */
export const keyValueColumns: readonly Column[] = [
  { title: 'KEY' },
  { title: 'VALUE' },
  { title: 'CREATED', align: 'right' },
  { title: 'MODIFIED', align: 'right' },
  { title: 'VERSION', align: 'right' },
  { title: 'LEASE' },
]

/** The cells of one row of that table. */
export function keyValueRow({ key, value, createRevision, modRevision, version, lease }: KeyValue): string[] {
  return [cellOf(key, 80), cellOf(value), String(createRevision), String(modRevision), String(version), lease ?? '']
}

const newline = Buffer.from('\n')

/** Keys and values on separate lines, as etcdctl prints them. */
export function keyValueLines(
  kvs: Iterable<Pick<KeyValue, 'key' | 'value'>>,
  { hex = false, omit }: { readonly hex?: boolean; readonly omit?: 'key' | 'value' | undefined } = {},
): Buffer {
  const lines: Buffer[] = []
  for (const { key, value } of kvs) {
    if (omit !== 'key') lines.push(bytesLine(key, hex), newline)
    if (omit !== 'value') lines.push(bytesLine(value, hex), newline)
  }
  return Buffer.concat(lines)
}

/** Bytes as they are, or each as `\\x61`. */
function bytesLine(bytes: Buffer, hex: boolean): Buffer {
  return hex ? Buffer.from(bytes.toString('hex').replace(/../g, '\\x$&')) : bytes
}
