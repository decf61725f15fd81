import { EtcdError } from '../core/errors.js'
import type { EncodedRange } from '../core/key-range.js'

/** Where a paged read continues: the next key, and the revision of all pages. */
export interface CursorPosition {
  readonly next: Buffer
  readonly revision: number
}

/** A cursor is bound to its range, so that it cannot be used to read other keys. */
export function encodeCursor(range: EncodedRange, { next, revision }: CursorPosition): string {
  const fields = [range.key, range.rangeEnd, next].map((bytes) => bytes.toString('base64url'))
  return Buffer.from(JSON.stringify([1, revision, ...fields])).toString('base64url')
}

/** Throws `INVALID_CURSOR` for a cursor that is damaged or belongs to another range. */
export function decodeCursor(cursor: string, range: EncodedRange): CursorPosition {
  const { key, rangeEnd, next, revision } = parse(cursor)
  if (!key.equals(range.key) || !rangeEnd.equals(range.rangeEnd)) {
    throw invalidCursor('`cursor` belongs to another range')
  }
  const beyond = rangeEnd.length > 1 || rangeEnd[0] !== 0 ? Buffer.compare(next, rangeEnd) >= 0 : false
  if (Buffer.compare(next, key) < 0 || beyond) throw invalidCursor('`cursor` is damaged')
  return { next, revision }
}

function parse(cursor: string): EncodedRange & CursorPosition {
  let fields: unknown
  try {
    fields = JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch (cause) {
    throw invalidCursor('`cursor` is damaged', cause)
  }
  if (!Array.isArray(fields) || fields.length !== 5 || fields[0] !== 1 || !isRevision(fields[1])) {
    throw invalidCursor('`cursor` is damaged')
  }
  const [key, rangeEnd, next] = fields.slice(2).map((field) => Buffer.from(String(field), 'base64url'))
  if (key === undefined || rangeEnd === undefined || next === undefined) throw invalidCursor('`cursor` is damaged')
  return { key, rangeEnd, next, revision: Number(fields[1]) }
}

function isRevision(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 1
}

function invalidCursor(message: string, cause?: unknown): EtcdError {
  return new EtcdError(message, { code: 'INVALID_CURSOR', effect: 'none', cause })
}
