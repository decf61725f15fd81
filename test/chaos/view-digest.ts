import { createHash } from 'node:crypto'

/** A short text that two sets of keys share only when they are the same. */
export function digestOf(keys: readonly (readonly [key: string, modRevision: number])[]): string {
  const lines = keys.map(([key, modRevision]) => `${key} ${modRevision}`).sort()
  return createHash('sha1').update(lines.join('\n')).digest('hex')
}
