import { type ChildProcess, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { EtcdBinary } from './etcd-binary.js'
import type { FaultProxy } from './fault-proxy.js'
import type { Gateway, GatewayMessage } from './gateway.js'
import { type EtcdFlags, flagArguments } from './member-flags.js'
import { processState } from './owner.js'
import { poll } from './poll.js'
import { spawnGuarded } from './process-guard.js'

/** `stopped`: no process, the data is kept. `removed`: no longer in the cluster, the data is gone. */
export type EtcdMemberState = 'running' | 'paused' | 'stopped' | 'removed'

/** Everything that a member keeps across restarts. */
export interface EtcdMemberSetup {
  readonly name: string
  /** Holds the data folder and the log. */
  readonly folder: string
  readonly clientPort: number
  readonly peerPort: number
  readonly scheme: 'http' | 'https'
  readonly gateway: Gateway
  readonly env: NodeJS.ProcessEnv
  readonly proxy: FaultProxy | undefined
}

/** What a start needs beyond the setup; a restart may change the program and the flags. */
export interface EtcdMemberLaunch {
  readonly binary: EtcdBinary
  readonly flags: EtcdFlags
}

/** One etcd process of a cluster. */
export class EtcdMember {
  /** The member's name in the cluster, m0 for the first. */
  readonly name: string
  /** The proxy in front of the client port, in a cluster that was started with `proxy: true`. */
  readonly proxy: FaultProxy | undefined
  readonly #setup: EtcdMemberSetup
  #launch: EtcdMemberLaunch
  #process: ChildProcess | undefined
  #state: EtcdMemberState = 'stopped'
  #memberId = ''
  #isLearner: boolean

  /** @internal Clusters create their members. */
  constructor(setup: EtcdMemberSetup, launch: EtcdMemberLaunch, isLearner: boolean) {
    this.name = setup.name
    this.proxy = setup.proxy
    this.#setup = setup
    this.#launch = launch
    this.#isLearner = isLearner
    mkdirSync(setup.folder, { recursive: true })
  }

  /** URL that clients should use: that of the fault proxy if there is one. */
  get endpoint(): string {
    return this.proxy === undefined ? this.clientUrl : `${this.#setup.scheme}://${this.proxy.endpoint}`
  }

  /** URL of the etcd process itself, past any proxy. */
  get clientUrl(): string {
    return `${this.#setup.scheme}://127.0.0.1:${this.#setup.clientPort}`
  }

  /** URL that the other members use. */
  get peerUrl(): string {
    return `http://127.0.0.1:${this.#setup.peerPort}`
  }

  /** What the member is doing now; a process that ended by itself is `stopped`. */
  get state(): EtcdMemberState {
    return this.#state
  }

  /** Process id; undefined while there is no process. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** The member's id in etcd's own lower-case hexadecimal form. */
  get memberId(): string {
    return this.#memberId
  }

  /** True for a member that was added as a learner and is not promoted yet. */
  get isLearner(): boolean {
    return this.#isLearner
  }

  /** Version of the program that the member runs, for example `3.5.30`. */
  get version(): string {
    return this.#launch.binary.version
  }

  /** The flags that the member was started with, without those that name it. */
  get flags(): EtcdFlags {
    return this.#launch.flags
  }

  /** Where etcd keeps the member's data. */
  get dataFolder(): string {
    return join(this.#setup.folder, 'data')
  }

  /** Everything that the process has written, over all restarts. */
  log(): string {
    return existsSync(this.#logFile) ? readFileSync(this.#logFile, 'utf8') : ''
  }

  /** Sums the samples of one of the member's metrics that carry these labels; 0 when there are none. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number> {
    return this.#setup.gateway.metric(this.clientUrl, name, labels)
  }

  /** Calls a method of etcd's JSON gateway on this member, past any proxy. */
  call(path: string, message?: GatewayMessage, timeoutMs?: number): Promise<GatewayMessage> {
    return this.#setup.gateway.call(this.clientUrl, path, message, timeoutMs)
  }

  /** @internal Starts the process without waiting until it serves. */
  spawn(launch: Partial<EtcdMemberLaunch> = {}): void {
    if (this.#state !== 'stopped') throw new Error(`${this.name} is ${this.#state}, so it cannot be started`)
    this.#launch = { ...this.#launch, ...launch }
    const { binary, flags } = this.#launch
    const { folder, env } = this.#setup
    const logFd = openSync(this.#logFile, 'a')
    const args = flagArguments({ ...this.#ownFlags(), ...flags }, binary.version)
    const child = spawnGuarded(binary.etcd, args, { cwd: folder, env, logFd })
    closeSync(logFd)
    child.once('error', () => this.#onExit(child))
    child.once('exit', () => this.#onExit(child))
    this.#process = child
    this.#state = 'running'
  }

  /** @internal Waits until the member answers reads, and learns its id. A learner answers serializable ones only. */
  async serving(): Promise<void> {
    const read = { key: 'AA==', serializable: this.#isLearner }
    const answer = await this.#whileRunning('answers reads', () => this.call('/v3/kv/range', read, 2000))
    this.#memberId = toHexId((answer.header as GatewayMessage | undefined)?.member_id)
  }

  /** @internal Waits until the member answers other members, which it does before the cluster has a leader. */
  async servingPeers(): Promise<void> {
    const { gateway } = this.#setup
    await this.#whileRunning('answers other members', () => gateway.get(`${this.peerUrl}/version`, 1000), 2)
  }

  /** @internal Waits until the process accepts connections, which it also does while the cluster has no leader. */
  async listening(): Promise<void> {
    await this.#whileRunning('accepts connections', () => canConnect(this.#setup.clientPort))
  }

  /** @internal */
  async signal(signal: 'SIGKILL' | 'SIGTERM', timeoutMs = 15_000): Promise<void> {
    const child = this.#process
    if (child === undefined) return
    if (this.#state === 'paused' && signal === 'SIGTERM') await this.resume()
    child.ref()
    const exited = once(child, 'exit', { signal: AbortSignal.timeout(timeoutMs) })
    child.kill(signal)
    try {
      await exited
    } catch (error) {
      throw new Error(`${this.name} did not end within ${timeoutMs} ms of ${signal}`, { cause: error })
    } finally {
      child.unref()
    }
  }

  /** @internal */
  async pause(): Promise<void> {
    const pid = this.#runningPid('paused')
    process.kill(pid, 'SIGSTOP')
    this.#state = 'paused'
    await poll(`${this.name} is paused`, () => isStopped(pid) || undefined, { everyMs: 1 })
  }

  /** @internal */
  async resume(): Promise<void> {
    const { pid } = this
    if (this.#state !== 'paused' || pid === undefined) throw new Error(`${this.name} is ${this.#state}, not paused`)
    process.kill(pid, 'SIGCONT')
    await poll(`${this.name} runs again`, () => !isStopped(pid) || undefined, { everyMs: 1 })
    this.#state = 'running'
  }

  /** @internal */
  markPromoted(): void {
    this.#isLearner = false
  }

  /** @internal Ends the process for good and deletes the data. */
  async discard(): Promise<void> {
    await this.signal('SIGKILL')
    this.#state = 'removed'
    rmSync(this.dataFolder, { recursive: true, force: true })
  }

  /** @internal Ends the process from an exit handler, where nothing can be awaited. */
  killNow(): void {
    this.#process?.kill('SIGKILL')
  }

  get #logFile(): string {
    return join(this.#setup.folder, 'etcd.log')
  }

  #ownFlags(): EtcdFlags {
    return {
      name: this.name,
      'data-dir': this.dataFolder,
      'listen-client-urls': this.clientUrl,
      'advertise-client-urls': this.endpoint,
      'listen-peer-urls': this.peerUrl,
      'initial-advertise-peer-urls': this.peerUrl,
    }
  }

  #onExit(child: ChildProcess): void {
    if (this.#process !== child) return
    this.#process = undefined
    if (this.#state !== 'removed') this.#state = 'stopped'
  }

  #runningPid(goal: string): number {
    const { pid } = this
    if (this.#state !== 'running' || pid === undefined) {
      throw new Error(`${this.name} is ${this.#state}, so it cannot be ${goal}`)
    }
    return pid
  }

  #whileRunning<T>(what: string, attempt: () => Promise<T | undefined>, everyMs?: number): Promise<T> {
    const giveUp = () => {
      if (this.#state !== 'running') throw new Error(`${this.name} ended before it ${what}:\n${this.log()}`)
    }
    return poll(`${this.name} ${what}`, attempt, { timeoutMs: 30_000, everyMs, giveUp })
  }
}

/** Turns the decimal id of the JSON gateway into the hexadecimal form that etcd prints. */
export function toHexId(decimal: unknown): string {
  return BigInt(String(decimal)).toString(16)
}

function canConnect(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(undefined))
    socket.once('connect', () => socket.destroy())
  })
}

/** A stop signal takes effect when every thread has noticed it; only then does the kernel report the state T. */
function isStopped(pid: number): boolean {
  const state = processState(pid) ?? execFileSync('ps', ['-o', 'state=', '-p', String(pid)], { encoding: 'utf8' })
  return state.trim().startsWith('T')
}
