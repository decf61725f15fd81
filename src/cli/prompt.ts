import type { Writable } from 'node:stream'
import type { Input, Prompt } from './command.js'
import { Interrupted } from './failure.js'

/** Keys that a terminal in raw mode passes on instead of acting on them. */
const keys = {
  interrupt: '\u0003',
  endOfInput: '\u0004',
  backspace: '\b',
  delete: '\u007f',
  eraseLine: '\u0015',
} as const

const endKeys: readonly string[] = [keys.interrupt, keys.endOfInput, '\r', '\n']

/** Reads secrets from the terminal. The question goes to standard error, and the input is not echoed. */
export function passwordPrompt(stdin: Input, stderr: Writable, signal: AbortSignal): Prompt {
  return (question) => {
    if (stdin.isTTY !== true || stdin.setRawMode === undefined) return undefined
    stderr.write(question)
    return readLine(stdin, signal).finally(() => stderr.write('\n'))
  }
}

/** Whatever ends the wait, the terminal gets its mode back. */
async function readLine(stdin: Input, signal: AbortSignal): Promise<string> {
  stdin.setRawMode?.(true)
  try {
    return await typedLine(stdin, signal)
  } finally {
    stdin.setRawMode?.(false)
    stdin.pause()
  }
}

function typedLine(stdin: Input, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let line = ''
    const finish = (settle: () => void): void => {
      stdin.off('data', onData).off('end', onEnd)
      signal.removeEventListener('abort', onAbort)
      settle()
    }
    const onAbort = (): void => finish(() => reject(signal.reason))
    const onEnd = (): void => finish(() => resolve(line))
    const onData = (piece: Buffer | string): void => {
      const typed = [...String(piece)]
      const at = typed.findIndex((key) => endKeys.includes(key))
      line = (at < 0 ? typed : typed.slice(0, at)).reduce(edited, line)
      if (at < 0) return
      if (typed[at] === keys.interrupt) finish(() => reject(new Interrupted('SIGINT')))
      else finish(() => resolve(line))
      // What was typed ahead belongs to the next question.
      stdin.unshift(Buffer.from(typed.slice(at + 1).join('')))
    }
    signal.addEventListener('abort', onAbort, { once: true })
    // A stream that was paused does not flow again by a listener alone.
    stdin.on('data', onData).on('end', onEnd).resume()
    if (signal.aborted) onAbort()
  })
}

function edited(line: string, key: string): string {
  if (key === keys.eraseLine) return ''
  if (key === keys.backspace || key === keys.delete) return [...line].slice(0, -1).join('')
  return line + key
}
