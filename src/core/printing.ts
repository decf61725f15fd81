import { isUtf8 } from 'node:buffer'
import { type InspectOptionsStylized, inspect } from 'node:util'

/** Longer keys and values are truncated when they are printed; JSON has all of them. */
const maxPrintedLength = 200

/**
 * Makes `console.log()` print the objects of a class as its name and a few fields, and `JSON.stringify()` write the same fields.
 * The methods are on the prototype: objects do not get larger.
 */
export function printAs<T extends object>(
  type: { readonly name: string; readonly prototype: T },
  fields: (object: T) => object,
  name = type.name,
): void {
  printInConsole(type, fields, name)
  Object.defineProperty(type.prototype, 'toJSON', {
    value(this: T): object {
      return fields(this)
    },
    configurable: true,
    writable: true,
  })
}

/** The fields of an object whose class has `printAs()`, for an object that wraps it. */
export function printedFields(object: object): object {
  return (object as { toJSON(): object }).toJSON()
}

/** The same for `console.log()` alone. */
export function printInConsole<T extends object>(
  type: { readonly name: string; readonly prototype: T },
  fields: (object: T) => object,
  name = type.name,
): void {
  Object.defineProperty(type.prototype, inspect.custom, {
    value(this: T, depth: number | null, options: InspectOptionsStylized): string {
      if (depth !== null && depth < 0) return options.stylize(`[${name}]`, 'special')
      const known = Object.entries(fields(this)).filter(([, value]) => value !== undefined)
      return `${name} ${inspect(Object.fromEntries(known), { ...options, depth })}`
    },
    configurable: true,
    writable: true,
  })
}

/** Bytes for a person: text if they are UTF-8, otherwise in hexadecimal, truncated if long. */
export function printedBytes(bytes: Uint8Array): string | Hexadecimal {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (!isUtf8(buffer)) return new Hexadecimal(buffer)
  const start = buffer.subarray(0, 4 * maxPrintedLength).toString()
  if (buffer.length === Buffer.byteLength(start) && start.length <= maxPrintedLength) return start
  return `${start.slice(0, maxPrintedLength).toWellFormed()}… (${buffer.length} bytes)`
}

/** Bytes that are not text. Printed without quotes, which distinguishes them from text. */
export class Hexadecimal {
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  toJSON(): string {
    return `0x${this.#bytes.toString('hex')}`
  }

  [inspect.custom](): string {
    const { length } = this.#bytes
    const shown = this.#bytes.toString('hex', 0, maxPrintedLength / 4)
    return length > maxPrintedLength / 4 ? `<${shown}… (${length} bytes)>` : `<${shown}>`
  }
}

/** Bytes in JSON: text under the name of the field, or base64 under that name and `Base64` if they are not UTF-8. */
export type BytesInJson<Name extends string> = { readonly [Key in Name | `${Name}Base64`]?: string }

/** Writes bytes for JSON. */
export function bytesInJson<Name extends string>(name: Name, bytes: Uint8Array): BytesInJson<Name> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const field = isUtf8(buffer) ? { [name]: buffer.toString() } : { [`${name}Base64`]: buffer.toString('base64') }
  // One of the two names is set.
  return field as BytesInJson<Name>
}
