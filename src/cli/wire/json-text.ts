/** A JSON value whose integers may exceed 2^53. */
export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly Json[]
  | { readonly [name: string]: Json | undefined }

/** The characters that Go's encoder escapes in strings and `JSON.stringify()` does not. */
const escapedByGo = /[<>&\u2028\u2029]/g

/** Encodes a value as Go does: integers of any size, and without `undefined` fields. */
export function jsonText(value: Json): string {
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'string') return JSON.stringify(value).replace(escapedByGo, escaped)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (isList(value)) return `[${value.map(jsonText).join(',')}]`
  const fields = Object.entries(value).flatMap(([name, field]) =>
    field === undefined ? [] : [`${JSON.stringify(name)}:${jsonText(field)}`],
  )
  return `{${fields.join(',')}}`
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
