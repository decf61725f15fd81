import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { EtcdCluster, findEtcd, poll } from '../../src/testing/index.js'
import { processState } from '../../src/testing/owner.js'

interface OwnedCluster {
  readonly owner: ChildProcess
  readonly pids: readonly number[]
  readonly ports: readonly string[]
  readonly dataFolder: string
}

const script = fileURLToPath(new URL('cluster-owner.ts', import.meta.url))

/** Starts a process that starts a cluster with three members, of which the last is paused. */
async function startOwner(ending: 'wait' | 'exit' | 'forget', env: NodeJS.ProcessEnv = {}): Promise<OwnedCluster> {
  const owner = spawn(process.execPath, ['--import', import.meta.resolve('../support/typescript.js'), script, ending], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = await once(createInterface({ input: owner.stdout }), 'line')
  return { owner, ...JSON.parse(line) }
}

function isGone(pid: number): boolean {
  const state = processState(pid)
  return state === undefined || state === 'Z'
}

function areGone(pids: readonly number[]): Promise<true> {
  return poll('the members are gone', () => pids.every(isGone) || undefined)
}

async function killOwner({ owner }: OwnedCluster): Promise<void> {
  const exited = once(owner, 'exit')
  owner.kill('SIGKILL')
  await exited
}

describe('A process that started a cluster', () => {
  test('takes all members with it when it is killed, paused ones included; the next start deletes their data', async () => {
    const cluster = await startOwner('wait')
    assert.ok(!cluster.pids.some(isGone))
    await killOwner(cluster)
    await areGone(cluster.pids)
    await using next = await EtcdCluster.start()
    assert.equal(next.members.length, 1)
    assert.equal(existsSync(cluster.dataFolder), false)
  })

  test('does so without setpriv, too', async () => {
    const { etcd } = await findEtcd()
    const empty = mkdtempSync(join(tmpdir(), 'etcdkit-test-'))
    const cluster = await startOwner('wait', { PATH: empty, ETCDKIT_ETCD: etcd })
    await killOwner(cluster)
    await areGone(cluster.pids)
    rmSync(empty, { recursive: true })
  })

  test('cleans up when it exits without stopping the cluster', async () => {
    const cluster = await startOwner('exit')
    await once(cluster.owner, 'exit')
    await areGone(cluster.pids)
    await poll('the data is deleted', () => !existsSync(cluster.dataFolder) || undefined)
  })

  test('is not kept alive by a cluster that it no longer references', async () => {
    const cluster = await startOwner('forget')
    if (cluster.owner.exitCode === null) await once(cluster.owner, 'exit')
    assert.equal(cluster.owner.exitCode, 0)
    await areGone(cluster.pids)
  })

  test('shares the machine with others', async () => {
    const clusters = await Promise.all([startOwner('wait'), startOwner('wait'), startOwner('wait')])
    const ports = clusters.flatMap((cluster) => cluster.ports)
    assert.equal(ports.length, 27)
    assert.equal(new Set(ports).size, ports.length)
    assert.ok(clusters.every(({ dataFolder }) => existsSync(dataFolder)))
    await Promise.all(clusters.map(killOwner))
  })
})
