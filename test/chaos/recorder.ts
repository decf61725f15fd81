import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { etcdctlVariables, withoutEtcdVariables } from '../../src/testing/etcd-environment.js'
import type { EtcdCluster } from '../../src/testing/index.js'
import { now, type SeenEvent } from './records.js'

/** A change as `etcdctl watch` shows it. */
export interface HistoryEvent extends SeenEvent {
  /** When the recorder saw it. */
  readonly seenAt: number
}

interface JsonResponse {
  readonly Events?: readonly {
    readonly type?: number | string
    readonly kv: { readonly key?: string; readonly value?: string; readonly mod_revision?: number | string }
  }[]
}

/** The history of the cluster from its first revision, recorded by etcdctl: a witness that is not this library. */
export class Recorder {
  readonly events: HistoryEvent[] = []
  readonly #child: ChildProcess
  #complaint = ''

  constructor(cluster: EtcdCluster, rootPassword: string | undefined) {
    const { version, tls } = cluster
    const endpoints = cluster.members.map(({ clientUrl }) => clientUrl)
    const args = ['watch', '', '--prefix', '--rev=1', '--write-out=json']
    const env = { ...withoutEtcdVariables(), ...etcdctlVariables({ version, endpoints, tls, rootPassword }, args) }
    this.#child = spawn(cluster.binary.etcdctl ?? 'etcdctl', args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const { stdout, stderr } = this.#child
    if (stdout !== null) createInterface({ input: stdout }).on('line', (line) => this.#take(line))
    stderr?.on('data', (bytes) => {
      this.#complaint += bytes
    })
  }

  get revision(): number {
    return this.events.at(-1)?.revision ?? 0
  }

  /** What etcdctl printed to its error output. */
  get complaint(): string {
    return this.#complaint
  }

  stop(): void {
    this.#child.kill('SIGKILL')
  }

  #take(line: string): void {
    if (!line.startsWith('{')) return
    const response: JsonResponse = JSON.parse(line)
    const seenAt = now()
    for (const { type, kv } of response.Events ?? []) {
      this.events.push({
        type: type === 1 || type === 'DELETE' ? 'delete' : 'put',
        key: Buffer.from(kv.key ?? '', 'base64').toString('latin1'),
        value: Buffer.from(kv.value ?? '', 'base64').toString('latin1'),
        revision: Number(kv.mod_revision),
        seenAt,
      })
    }
  }
}
