import type { WriteStream } from 'node:tty'

/** Whether the check of a section passed, with the measurement. */
export interface Verdict {
  readonly holds: boolean
  readonly text: string
}

type Color = 'bold' | 'dim' | 'green' | 'red'

const codes: Readonly<Record<Color, number>> = { bold: 1, dim: 2, green: 32, red: 31 }

/** Prints the tour, with colors and a progress line on terminals only. */
export class Screen {
  readonly #out: WriteStream
  readonly #hasColors: boolean

  constructor(out: WriteStream = process.stdout) {
    this.#out = out
    this.#hasColors = out.isTTY === true && !process.env.NO_COLOR
  }

  /** The heading of a section. */
  title(text: string): void {
    this.#line(`\n${this.#paint('bold', text)}`)
  }

  /** One table row: a name of up to 15 characters, and a text. */
  row(name: string, text: string): void {
    this.#line(`  ${this.#paint('dim', name.padEnd(15))} ${text}`)
  }

  /** The last line of a section. */
  verdict({ holds, text }: Verdict): void {
    this.#line(`  ${holds ? this.#paint('green', '✓') : this.#paint('red', '✗')} ${text}`)
  }

  /** Shows the current step in a line that the next output replaces; prints nothing without a terminal. */
  progress(text: string): void {
    if (this.#out.isTTY) this.#out.write(`\r\x1b[2K  ${text}`)
  }

  #line(text: string): void {
    if (this.#out.isTTY) this.#out.write('\r\x1b[2K')
    this.#out.write(`${text}\n`)
  }

  #paint(color: Color, text: string): string {
    return this.#hasColors ? `\x1b[${codes[color]}m${text}\x1b[0m` : text
  }
}

/** A whole number with commas: `10,000`. */
export function whole(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}

/** A duration in milliseconds, with decimals if it is short. */
export function ms(durationMs: number): string {
  return `${durationMs < 10 ? durationMs.toFixed(2) : whole(durationMs)} ms`
}
