import { isEtcdError } from '../../src/index.js'
import type { StoredKey } from './cluster-view.js'

/** The outcome of one write as the client reported it. Every write has its own key. */
export type WriteRecord =
  | { readonly key: string; readonly outcome: 'ok'; readonly revision: number }
  | { readonly key: string; readonly outcome: 'none' | 'unknown'; readonly code: string }
  | { readonly key: string; readonly outcome: 'untyped'; readonly error: unknown }

/** A client that can write, good or bad. */
export interface Writer {
  put(key: string, value: string): Promise<{ readonly revision: number }>
}

/** Makes one write and records what the client says about it. */
export async function recordedPut(writer: Writer, key: string): Promise<WriteRecord> {
  try {
    const { revision } = await writer.put(key, `value of ${key}`)
    return { key, outcome: 'ok', revision }
  } catch (error) {
    return isEtcdError(error) ? { key, outcome: error.effect, code: error.code } : { key, outcome: 'untyped', error }
  }
}

/**
 * Compares what a client said of its writes with what the cluster holds when all of them have settled. Returns a
 * sentence for each lie: an acknowledged write that is not there exactly once at its revision, one without effect that is
 * there, and one of unknown effect that is there more than once.
 */
export function historyViolations(records: readonly WriteRecord[], stored: readonly StoredKey[]): string[] {
  const byKey = new Map(stored.map((kv) => [kv.key, kv]))
  return records.flatMap((record) => violation(record, byKey.get(record.key)) ?? [])
}

function violation(record: WriteRecord, kv: StoredKey | undefined): string | undefined {
  const { key } = record
  if (kv !== undefined && kv.version > 1) return `${key} was applied ${kv.version} times`
  switch (record.outcome) {
    case 'ok':
      if (kv === undefined) return `${key} was acknowledged and is missing`
      if (kv.modRevision === record.revision) return undefined
      return `${key} was acknowledged at ${record.revision} and is at ${kv.modRevision}`
    case 'none':
      return kv && `${key} failed without effect (${record.code}) and was applied`
    case 'untyped':
      return `${key} failed with something else than an EtcdError: ${record.error}`
    case 'unknown':
      return undefined
  }
}
