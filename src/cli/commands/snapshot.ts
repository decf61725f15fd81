import type { SnapshotProgress } from '../../index.js'
import { type Context, defineCommand } from '../command.js'
import { checkReplaceable } from '../page-file.js'
import { formatBytes, formatMs } from '../units.js'

/** Saves the database of a member. */
export const snapshotSaveCommand = defineCommand({
  name: 'snapshot save',
  usage: 'FILE',
  summary: 'save the database of one member to a file for etcdutl snapshot restore',
  details: ['The file appears when it is complete and its digest is verified. Only its owner can read it.'],
  flags: {},
  arity: [1, 1],
  async run(context, { args: [path = ''] }) {
    const { output, client, signal } = context
    await checkReplaceable('FILE', path)
    const startedAt = performance.now()
    const onProgress = (progress: SnapshotProgress): void => show(context, progress, performance.now() - startedAt)
    const { bytes } = await client().maintenance.saveSnapshot(path, { signal, onProgress })
    const durationMs = performance.now() - startedAt
    context.notes.clear()
    if (output.format === 'json') await output.json({ path, bytes, durationMs: Math.round(durationMs) })
    else await output.line(`${path}: ${formatBytes(bytes)} in ${formatMs(durationMs)}`)
    return 0
  },
})

function show({ notes }: Context, { receivedBytes, totalBytes }: SnapshotProgress, elapsedMs: number): void {
  const perSecond = receivedBytes / Math.max(0.001, elapsedMs / 1000)
  notes.status(`${formatBytes(receivedBytes)} of ${formatBytes(totalBytes)}, ${formatBytes(perSecond)}/s`)
}
