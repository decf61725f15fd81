import type { Writable } from 'node:stream'
import type { Notes } from './command.js'

/** Takes the cursor to the beginning of the line and deletes what is there. */
const eraseLine = '\r\u001b[K'

/** Lines on standard error, and one that is drawn over where that is a terminal. */
export class TerminalNotes implements Notes {
  readonly isTTY: boolean
  readonly #stream: Writable & { readonly columns?: number }
  #isShown = false

  constructor(stream: Writable & { readonly isTTY?: boolean; readonly columns?: number }) {
    this.isTTY = stream.isTTY === true
    this.#stream = stream
  }

  line(text: string): void {
    this.clear()
    this.#stream.write(`${text}\n`)
  }

  status(text: string): void {
    if (!this.isTTY) return
    this.#stream.write(eraseLine + text.slice(0, (this.#stream.columns ?? 80) - 1))
    this.#isShown = true
  }

  clear(): void {
    if (this.#isShown) this.#stream.write(eraseLine)
    this.#isShown = false
  }
}
