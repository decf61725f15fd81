const escapes: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
}

const escapeSequence = /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|([0-7]{3})|(.))/gis

/** The bytes of the inside of a string literal of Go; `undefined` if it contains an unknown escape. */
export function goUnquote(inside: string): Buffer | undefined {
  const pieces: Buffer[] = []
  let at = 0
  for (const match of inside.matchAll(escapeSequence)) {
    const bytes = escaped(match)
    if (bytes === undefined) return undefined
    pieces.push(Buffer.from(inside.slice(at, match.index)), bytes)
    at = match.index + match[0].length
  }
  pieces.push(Buffer.from(inside.slice(at)))
  return Buffer.concat(pieces)
}

function escaped([, byte, short, long, octal, letter = '']: RegExpExecArray): Buffer | undefined {
  if (byte !== undefined) return Buffer.from(byte, 'hex')
  if (octal !== undefined) return Buffer.from([Number.parseInt(octal, 8) & 0xff])
  const point = short ?? long
  if (point !== undefined) return Buffer.from(String.fromCodePoint(Number.parseInt(point, 16)))
  const character = escapes[letter]
  return character === undefined ? undefined : Buffer.from(character)
}
