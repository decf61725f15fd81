import type { Output } from '../output.js'
import { boxedTable } from './boxed-table.js'
import { type Json, jsonText } from './json-text.js'
import { fieldLines } from './message-fields.js'
import { etcdctlJson, readableJson } from './message-json.js'

/** A response and the forms in which it is printed. */
export interface Printable {
  /** The name of the message. */
  readonly type: string
  readonly message: object
  /** The simple form; `undefined` prints nothing. */
  readonly text: string | Uint8Array | undefined
  /** etcdctl's JSON, if it differs from the JSON of the message. */
  readonly json?: (message: { readonly [name: string]: Json }) => Json
  /** The table, if there is one. Otherwise the simple form is printed. */
  readonly table?: { readonly titles: readonly string[]; readonly rows: readonly (readonly string[])[] } | undefined
  /** etcdkit's JSON, if it differs from the readable JSON of the message. */
  readonly readable?: unknown
}

/** Prints a response in the requested format. */
export async function print(output: Output, printable: Printable): Promise<void> {
  const { type, message, text, table } = printable
  if (output.format === 'json') return printJson(output, printable)
  if (output.format === 'fields') return output.line(fieldLines(message, type, output).join('\n'))
  if (output.format === 'table' && table !== undefined) return printTable(output, table)
  if (text !== undefined) await (typeof text === 'string' ? output.line(text) : output.write(text))
}

function printJson(output: Output, { type, message, json, readable }: Printable): Promise<void> {
  if (!output.isEtcdctl) return output.json(readable ?? readableJson(message, type))
  const plain = etcdctlJson(message, type, output.hex)
  return output.line(jsonText(json === undefined ? plain : json(plain)))
}

/** Prints a table: framed as etcdctl does with `--write-out`, plain with `--output`. */
export function printTable(
  output: Output,
  { titles, rows }: { readonly titles: readonly string[]; readonly rows: readonly (readonly string[])[] },
): Promise<void> {
  if (output.isEtcdctl) return output.line(boxedTable(titles, rows))
  return output.table(
    titles.map((title) => ({ title })),
    rows,
  )
}
