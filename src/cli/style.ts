/** Text styles. */
export type Look = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

/** The escape codes that begin and end a style. */
const codes: Readonly<Record<Look, readonly [begin: number, end: number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
}

/** Styles text, or returns it unchanged without colors. */
export type Style = (look: Look, text: string) => string

/** Returns text unchanged. */
export const plainStyle: Style = (_, text) => text

/** Colors on terminals, unless disabled (https://no-color.org). */
export function styleFor(isTTY: boolean, env: Readonly<Record<string, string | undefined>>): Style {
  const isWanted = isTTY && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb'
  return isWanted ? styled : plainStyle
}

function styled(look: Look, text: string): string {
  const [begin, end] = codes[look]
  return `\u001b[${begin}m${text}\u001b[${end}m`
}
