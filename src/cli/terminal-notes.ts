import type { Writable } from 'node:stream'
import type { Notes } from './command.js'

/** Moves the cursor to the beginning of the line and erases the line. */
const eraseLine = '\r\u001b[K'

/** Lines on standard error, and a status line that is overwritten on terminals. */
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
