import type { Readable } from 'node:stream'

/** Everything on standard input, byte for byte. */
export async function standardInput(stdin: Readable, signal: AbortSignal): Promise<Buffer> {
  const pieces: Buffer[] = []
  await untilAborted(stdin, signal, async () => {
    for await (const piece of stdin) pieces.push(Buffer.from(piece))
  })
  return Buffer.concat(pieces)
}

/** The first line of standard input, without its end. */
export async function firstLine(stdin: Readable, signal: AbortSignal): Promise<string> {
  const [line = ''] = (await standardInput(stdin, signal)).toString().split(/\r?\n/, 1)
  return line
}

/** Runs `read`, and destroys the stream when the signal aborts. */
export async function untilAborted(stdin: Readable, signal: AbortSignal, read: () => Promise<void>): Promise<void> {
  const stop = (): void => void stdin.destroy(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    await read()
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
