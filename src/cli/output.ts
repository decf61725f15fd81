import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { isBrokenPipe, ReaderGone } from './reader-gone.js'
import type { Style } from './style.js'
import { type Column, renderTable } from './table.js'

/** Formats of results. */
export type Format = 'simple' | 'table' | 'json'

/** Standard output. Writes wait for a slow reader, so nothing accumulates. */
export class Output {
  readonly format: Format
  readonly style: Style
  readonly #stream: Writable

  constructor(stream: Writable, format: Format, style: Style) {
    this.#stream = stream
    this.format = format
    this.style = style
  }

  /** Writes bytes unchanged. */
  async write(chunk: string | Uint8Array): Promise<void> {
    if (this.#stream.destroyed) throw new ReaderGone()
    try {
      if (!this.#stream.write(chunk)) await once(this.#stream, 'drain')
    } catch (error) {
      throw isBrokenPipe(error) ? new ReaderGone() : error
    }
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
