import type { WriteStream } from 'node:tty'

/** Whether a section's claim held, and the number that shows it. */
export interface Verdict {
  readonly holds: boolean
  readonly text: string
}

type Colour = 'bold' | 'dim' | 'green' | 'red'

const codes: Readonly<Record<Colour, number>> = { bold: 1, dim: 2, green: 32, red: 31 }

/** Writes the tour: colours and the progress line on a terminal only, and plain lines anywhere else. */
export class Screen {
  readonly #out: WriteStream
  readonly #hasColours: boolean

  constructor(out: WriteStream = process.stdout) {
    this.#out = out
    this.#hasColours = out.isTTY === true && !process.env.NO_COLOR
  }

  /** The heading of a section. */
  title(text: string): void {
    this.#line(`\n${this.#paint('bold', text)}`)
  }

  /** One line of a table: a name of up to 15 letters, and what is to be said of it. */
  row(name: string, text: string): void {
    this.#line(`  ${this.#paint('dim', name.padEnd(15))} ${text}`)
  }

  /** The last line of a section. */
  verdict({ holds, text }: Verdict): void {
    this.#line(`  ${holds ? this.#paint('green', '✓') : this.#paint('red', '✗')} ${text}`)
  }

  /** Shows what is going on in one line, which the next one takes the place of; nothing where there is no terminal. */
  progress(text: string): void {
    if (this.#out.isTTY) this.#out.write(`\r\x1b[2K  ${text}`)
  }

  #line(text: string): void {
    if (this.#out.isTTY) this.#out.write('\r\x1b[2K')
    this.#out.write(`${text}\n`)
  }

  #paint(colour: Colour, text: string): string {
    return this.#hasColours ? `\x1b[${codes[colour]}m${text}\x1b[0m` : text
  }
}

/** A whole number with commas: `10,000`. */
export function whole(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}

/** A time in milliseconds, with a fraction where it is short. */
export function ms(durationMs: number): string {
  return `${durationMs < 10 ? durationMs.toFixed(2) : whole(durationMs)} ms`
}
