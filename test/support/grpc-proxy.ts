import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type EtcdCluster, reservePort } from '../../src/testing/index.js'

/** Starts etcd's gRPC proxy in front of a cluster, until the end of the test; returns where it listens. */
export async function startGrpcProxy(
  t: TestContext,
  cluster: EtcdCluster,
  ...flags: readonly string[]
): Promise<string> {
  const port = await reservePort()
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-grpc-proxy-'))
  const members = cluster.members.map(({ clientUrl }) => new URL(clientUrl).host)
  const address = `127.0.0.1:${port.port}`
  const own = [`--listen-addr=${address}`, `--advertise-client-url=${address}`, `--data-dir=${folder}`]
  const args = [`--endpoints=${members}`, ...own, ...flags]
  const proxy = spawn(cluster.binary.etcd, ['grpc-proxy', 'start', ...args], { stdio: 'ignore' })
  const exited = once(proxy, 'exit')
  t.after(async () => {
    proxy.kill('SIGKILL')
    await exited
    rmSync(folder, { recursive: true, force: true })
    port.release()
  })
  return `http://127.0.0.1:${port.port}`
}
