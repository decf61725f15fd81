const keptBytes = 64
const shownHexBytes = 8
/** The content types of TLS records, and the first byte of their version. */
const tlsTypes = { first: 0x14, last: 0x17, version: 0x03 }

/** The first bytes of the connection. */
export function firstBytesKept(before: Buffer, chunk: Buffer): Buffer {
  if (before.length >= keptBytes) return before
  return Buffer.concat([before, chunk.subarray(0, keptBytes - before.length)])
}

/** Whether these may be the first bytes of a SETTINGS frame, whose length is small. */
export function mayBeHttp2(first: Buffer): boolean {
  return first.length === 0 || first[0] === 0
}

/** The error for a server that begins with `first` instead of an HTTP/2 SETTINGS frame. */
export function notHttp2(first: Buffer): Error {
  const line = /^[\x20-\x7e]*/.exec(first.toString('latin1'))?.[0] ?? ''
  if (/^HTTP\/\d/.test(line)) return new Error(`the server speaks HTTP/1, not HTTP/2: it answered "${line}"`)
  if (isTls(first)) return new Error('the server speaks TLS: use https:// instead of http://')
  const shown = line.length >= 4 ? `it sent "${line}"` : `its first bytes are ${hexOf(first)}`
  return new Error(`the server does not speak HTTP/2: ${shown}`)
}

function isTls([type = 0, version = 0]: Buffer): boolean {
  return type >= tlsTypes.first && type <= tlsTypes.last && version === tlsTypes.version
}

function hexOf(bytes: Buffer): string {
  return bytes.toString('hex', 0, shownHexBytes).replace(/..(?=.)/g, '$& ')
}
