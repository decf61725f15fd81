import type { Watcher } from './watcher.js'

/** Ends a watch at its first event of a kind: resolves with `true`; with `false` where it ended before, or was stopped. */
export async function untilEvent(
  watcher: Watcher,
  event: 'put' | 'delete',
  onStarted: (stop: () => void) => void,
): Promise<boolean> {
  try {
    return await new Promise<boolean>((resolve, reject) => {
      watcher.on(event, () => resolve(true))
      watcher.on('end', () => resolve(false))
      watcher.on('error', reject)
      onStarted(() => resolve(false))
    })
  } finally {
    await watcher.cancel()
  }
}

/** The revision after `revision`, as text. */
export function nextRevision(revision: string): string {
  return String(Number(revision) + 1)
}
