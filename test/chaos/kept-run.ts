import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ChaosSettings, runChaos } from './run-chaos.js'

/**
 * Runs chaos and returns what is wrong. What a failed run has recorded is kept, and the log says where it is and how to
 * have the same faults again.
 */
export async function runAndKeep(settings: Omit<ChaosSettings, 'folder'>): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-chaos-'))
  let violations: readonly string[] = ['the run was interrupted']
  try {
    violations = await runChaos({ ...settings, folder })
  } finally {
    if (violations.length === 0) rmSync(folder, { recursive: true })
    else settings.log(`the records are kept in ${folder}; the same faults again:\n  ${commandOf(settings)}`)
  }
  return violations
}

function commandOf({ seconds, seed, members, processes, etcd, transport, auth, tls }: Omit<ChaosSettings, 'folder'>) {
  const flags = { minutes: seconds / 60, seed, members, processes, etcd, transport }
  const texts = Object.entries(flags).flatMap(([name, value]) => (value === undefined ? [] : [`--${name} ${value}`]))
  return ['npm run chaos --', ...texts, ...(auth ? ['--auth'] : []), ...(tls ? ['--tls'] : [])].join(' ')
}
