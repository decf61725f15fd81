/** Looks of a piece of text. */
export type Look = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

/** The codes that begin and end a look. */
const codes: Readonly<Record<Look, readonly [begin: number, end: number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
}

/** Gives text a look, or leaves it as it is where there are no colours. */
export type Style = (look: Look, text: string) => string

/** Leaves text as it is. */
export const plainStyle: Style = (_, text) => text

/** Colours are for terminals, and for those who have not said otherwise (https://no-color.org). */
export function styleFor(isTTY: boolean, env: Readonly<Record<string, string | undefined>>): Style {
  const isWanted = isTTY && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb'
  return isWanted ? styled : plainStyle
}

function styled(look: Look, text: string): string {
  const [begin, end] = codes[look]
  return `\u001b[${begin}m${text}\u001b[${end}m`
}
