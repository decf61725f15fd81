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

const restartAfterMs = 300

/** The history of the cluster from its first revision, recorded by etcdctl: a witness that is not this library. */
export class Recorder {
  readonly events: HistoryEvent[] = []
  readonly #cluster: EtcdCluster
  readonly #rootPassword: string | undefined
  #child: ChildProcess | undefined
  #isStopped = false
  #complaint = ''

  constructor(cluster: EtcdCluster, rootPassword: string | undefined) {
    this.#cluster = cluster
    this.#rootPassword = rootPassword
    this.#start()
  }

  get revision(): number {
    return this.events.at(-1)?.revision ?? 0
  }

  /** What etcdctl printed to its error output. */
  get complaint(): string {
    return this.#complaint
  }

  /** The events up to that of a key; `undefined` if it has not come. What expires later is none of the run. */
  eventsUntil(key: string): readonly HistoryEvent[] | undefined {
    const end = this.events.findLastIndex((event) => event.key === key)
    return end < 0 ? undefined : this.events.slice(0, end + 1)
  }

  /** Continues with the members that the cluster has now. */
  restart(): void {
    this.#child?.kill('SIGKILL')
  }

  stop(): void {
    this.#isStopped = true
    this.#child?.kill('SIGKILL')
  }

  #start(): void {
    if (this.#isStopped) return
    const { version, tls, members, binary } = this.#cluster
    const endpoints = members.filter(({ state }) => state !== 'removed').map(({ clientUrl }) => clientUrl)
    const args = ['watch', '', '--prefix', `--rev=${this.revision + 1}`, '--write-out=json']
    const target = { version, endpoints, tls, rootPassword: this.#rootPassword }
    const env = { ...withoutEtcdVariables(), ...etcdctlVariables(target, args) }
    const child = spawn(binary.etcdctl ?? 'etcdctl', args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    createInterface({ input: child.stdout }).on('line', (line) => this.#take(line))
    child.stderr.on('data', (bytes) => {
      this.#complaint += bytes
    })
    child.once('close', () => setTimeout(() => this.#start(), restartAfterMs))
  }

  /** A line is a response with whole revisions. What a killed etcdctl leaves is no line, and its events come again. */
  #take(line: string): void {
    const response = parsed(line)
    const seenAt = now()
    for (const { type, kv } of response?.Events ?? []) {
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

function parsed(line: string): JsonResponse | undefined {
  try {
    return line.startsWith('{') ? JSON.parse(line) : undefined
  } catch {
    return undefined
  }
}
