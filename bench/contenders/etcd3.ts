import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Contender, Target } from './contender.js'

const version = '1.1.2'

/** What is used of `etcd3`, as its own types have it. */
interface Etcd3 {
  get(key: string): { buffer(): Promise<Buffer | null> }
  put(key: string): { value(value: Buffer): Promise<unknown> }
  getAll(): { prefix(prefix: string): { buffers(): Promise<Readonly<Record<string, Buffer>>> } }
  watch(): { prefix(prefix: string): { startRevision(revision: string): { create(): Promise<Watcher> } } }
  lock(name: string): { ttl(seconds: number): { do(work: () => Promise<void>): Promise<void> } }
  close(): void
}

interface Watcher {
  on(event: 'put', listener: () => void): void
  cancel(): Promise<void>
}

/** The folder with npm `etcd3`: it is no dependency of this package, so it is installed beside it, once. */
export function etcd3Folder(): string {
  const folder = join(tmpdir(), `etcdkit-bench-etcd3-${version}`)
  if (existsSync(join(folder, 'node_modules', 'etcd3', 'package.json'))) return folder
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{}')
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', `etcd3@${version}`], { cwd: folder })
  return folder
}

/**
 * npm `etcd3`, with its defaults but for the size of answers, which at 4 MiB would keep it from listing, and for its circuit
 * breaker, which 10,000 attempts to take a lock would open.
 */
export function etcd3({ endpoints, ca, auth }: Target): Contender {
  const require = createRequire(join(etcd3Folder(), 'package.json'))
  const { noop } = require('cockatiel') as { readonly noop: object }
  const { Etcd3: Client } = require('etcd3') as {
    readonly Etcd3: new (options: {
      readonly hosts: readonly string[]
      readonly grpcOptions: object
      readonly auth: Target['auth']
      readonly credentials?: { readonly rootCertificate: Buffer }
      readonly faultHandling: { readonly host: () => object }
    }) => Etcd3
  }
  const etcd = new Client({
    hosts: endpoints,
    auth,
    ...(ca === undefined ? {} : { credentials: { rootCertificate: Buffer.from(ca) } }),
    grpcOptions: { 'grpc.max_receive_message_length': -1 },
    faultHandling: { host: () => noop },
  })
  return {
    get: (key) => etcd.get(key).buffer(),
    put: async (key, value) => etcd.put(key).value(value),
    async list(prefix, onHeld) {
      const all = await etcd.getAll().prefix(prefix).buffers()
      onHeld?.()
      return Object.keys(all).length
    },
    async watch(prefix, startRevision, count) {
      const watcher = await etcd.watch().prefix(prefix).startRevision(String(startRevision)).create()
      let left = count
      await new Promise<void>((resolve) => {
        watcher.on('put', () => {
          left -= 1
          if (left === 0) resolve()
        })
      })
      await watcher.cancel()
    },
    withLock: (name, work) => lockWithRetries(etcd, name, work),
    close: () => etcd.close(),
  }
}

/** Its lock fails at once when it is held; users try again until they have it. */
async function lockWithRetries(etcd: Etcd3, name: string, work: () => Promise<void>): Promise<void> {
  for (let waitMs = 10; ; waitMs = Math.min(waitMs * 2, 200)) {
    try {
      return await etcd.lock(name).ttl(60).do(work)
    } catch (error) {
      if (!(error instanceof Error) || error.constructor.name !== 'EtcdLockFailedError') throw error
      await sleep(waitMs * (0.5 + Math.random()))
    }
  }
}
