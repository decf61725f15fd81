import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { outputError } from './reader-gone.js'
import type { Style } from './style.js'
import { type Column, renderTable } from './table.js'

/** Formats of results. Only commands of etcdctl have `fields`; others print their simple form. */
export type Format = 'simple' | 'table' | 'json' | 'fields'

/** What the flags request of the output. */
export interface OutputOptions {
  readonly format: Format
  /** Whether tables and JSON have etcdctl's form: `--write-out`, not `--output`. */
  readonly isEtcdctl: boolean
  /** Whether IDs in etcdctl's JSON and fields, and the bytes of keys and values, are hexadecimal. */
  readonly hex: boolean
}

/** Standard output. Writes wait for a slow reader, so nothing accumulates. */
export class Output {
  readonly format: Format
  readonly isEtcdctl: boolean
  readonly hex: boolean
  readonly style: Style
  readonly #stream: Writable

  constructor(stream: Writable, { format, isEtcdctl, hex }: OutputOptions, style: Style) {
    this.#stream = stream
    this.format = format
    this.isEtcdctl = isEtcdctl
    this.hex = hex
    this.style = style
  }

  /** Writes bytes unchanged. */
  async write(chunk: string | Uint8Array): Promise<void> {
    if (this.#stream.destroyed) throw outputError(this.#stream.errored)
    try {
      if (!this.#stream.write(chunk)) await once(this.#stream, 'drain')
    } catch (error) {
      throw outputError(error)
    }
  }

  /** Waits until what was written has left the process: only then is it known that a disk was full. */
  async flush(): Promise<void> {
    if (this.#stream.destroyed) await this.write('')
    const error = await new Promise((resolve) => this.#stream.write('', resolve))
    if (error instanceof Error) throw outputError(error)
  }

  /** Writes a line of text. */
  line(text = ''): Promise<void> {
    return this.write(`${text}\n`)
  }

  /** Writes a value as one line of JSON. */
  json(value: unknown): Promise<void> {
    return this.line(JSON.stringify(value))
  }

  /** Writes rows under titles. */
  table(columns: readonly Column[], rows: readonly (readonly string[])[]): Promise<void> {
    return this.line(renderTable(columns, rows, this.style).join('\n'))
  }
}
