import type { IKeyValue } from './rpc/kv-messages.js'
import type { Watcher } from './watcher.js'

/** Ends a watch at its first event of a kind, and resolves with its key; with `undefined` if the watch ended or was stopped before. */
export async function untilEvent(
  watcher: Watcher,
  event: 'put' | 'delete',
  onStarted: (stop: () => void) => void,
): Promise<IKeyValue | undefined> {
  try {
    return await new Promise<IKeyValue | undefined>((resolve, reject) => {
      watcher.on(event, resolve)
      watcher.on('end', () => resolve(undefined))
      watcher.on('error', reject)
      onStarted(() => resolve(undefined))
    })
  } finally {
    await watcher.cancel()
  }
}

/** The revision after `revision`, as text. */
export function nextRevision(revision: string): string {
  return String(Number(revision) + 1)
}
