import { type ChildProcess, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { EtcdBinary } from './etcd-binary.js'
import type { EtcdMember, EtcdMemberState } from './etcd-member.js'
import type { FaultProxy } from './fault-proxy.js'
import { type Gateway, type GatewayMessage, toHexId } from './gateway.js'
import type { KeptMember } from './kept-cluster.js'
import { type EtcdFlags, flagArguments } from './member-flags.js'
import { processState } from './owner.js'
import { poll } from './poll.js'
import { spawnGuarded } from './process-guard.js'

/** Everything that a member keeps across restarts. */
export interface MemberSetup {
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
export interface MemberLaunch {
  readonly binary: EtcdBinary
  readonly flags: EtcdFlags
}

/** Runs one etcd process, over all its restarts. */
export class MemberProcess implements EtcdMember {
  readonly name: string
  readonly proxy: FaultProxy | undefined
  readonly #setup: MemberSetup
  #launch: MemberLaunch
  #process: ChildProcess | undefined
  #state: EtcdMemberState = 'stopped'
  #memberId = ''
  #isLearner: boolean

  constructor(setup: MemberSetup, launch: MemberLaunch, isLearner: boolean) {
    this.name = setup.name
    this.proxy = setup.proxy
    this.#setup = setup
    this.#launch = launch
    this.#isLearner = isLearner
    mkdirSync(setup.folder, { recursive: true })
  }

  get endpoint(): string {
    return this.proxy === undefined ? this.clientUrl : `${this.#setup.scheme}://${this.proxy.endpoint}`
  }

  get clientUrl(): string {
    return `${this.#setup.scheme}://127.0.0.1:${this.#setup.clientPort}`
  }

  get peerUrl(): string {
    return `http://127.0.0.1:${this.#setup.peerPort}`
  }

  get state(): EtcdMemberState {
    return this.#state
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  get memberId(): string {
    return this.#memberId
  }

  get isLearner(): boolean {
    return this.#isLearner
  }

  get version(): string {
    return this.#launch.binary.version
  }

  /** The flags that the member was started with, without those that name it. */
  get flags(): EtcdFlags {
    return this.#launch.flags
  }

  get dataDir(): string {
    return join(this.#setup.folder, 'data')
  }

  log(): string {
    return existsSync(this.#logFile) ? readFileSync(this.#logFile, 'utf8') : ''
  }

  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number> {
    return this.#setup.gateway.metric(this.clientUrl, name, labels)
  }

  call(path: string, message?: GatewayMessage, timeoutMs?: number): Promise<GatewayMessage> {
    return this.#setup.gateway.call(this.clientUrl, path, message, timeoutMs)
  }

  /** The member as the next start of a kept cluster needs it. */
  get kept(): KeptMember {
    const { clientPort, peerPort } = this.#setup
    return { name: this.name, isLearner: this.#isLearner, clientPort, peerPort }
  }

  /** Starts the process without waiting until it serves. */
  spawn(launch: Partial<MemberLaunch> = {}): void {
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

  /** Waits until the member answers reads, and learns its id. A learner answers serializable ones only. */
  async serving(): Promise<void> {
    const read = { key: 'AA==', serializable: this.#isLearner }
    const answer = await this.#whileRunning('answers reads', () => this.call('/v3/kv/range', read, 2000))
    this.#memberId = toHexId((answer.header as GatewayMessage | undefined)?.member_id)
  }

  /** Waits until the member answers other members, which it does before the cluster has a leader. */
  async servingPeers(): Promise<void> {
    const { gateway } = this.#setup
    await this.#whileRunning('answers other members', () => gateway.get(`${this.peerUrl}/version`, 1000), 2)
  }

  /**
   * Waits until the member knows of a new one. The new one gets the list of members from any of the others when it starts, and
   * ends at once if it is not in the list.
   */
  async knowing(newPeerUrl: string): Promise<void> {
    const { gateway } = this.#setup
    await this.#whileRunning(`knows of the new member ${newPeerUrl}`, async () => {
      const members = await gateway.get(`${this.peerUrl}/members`, 1000)
      return members.includes(JSON.stringify(newPeerUrl)) || undefined
    })
  }

  /** Waits until the process accepts connections, which it also does while the cluster has no leader. */
  async listening(): Promise<void> {
    await this.#whileRunning('accepts connections', () => canConnect(this.#setup.clientPort))
  }

  /** Sends a signal that ends the process and waits until it has ended; does nothing while there is no process. */
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

  /** Freezes the process; resolves when every thread of it stands still. */
  async pause(): Promise<void> {
    const pid = this.#runningPid('paused')
    process.kill(pid, 'SIGSTOP')
    this.#state = 'paused'
    await poll(`${this.name} is paused`, () => isStopped(pid) || undefined, { intervalMs: 1 })
  }

  /** Lets a paused process go on. */
  async resume(): Promise<void> {
    const { pid } = this
    if (this.#state !== 'paused' || pid === undefined) throw new Error(`${this.name} is ${this.#state}, not paused`)
    process.kill(pid, 'SIGCONT')
    await poll(`${this.name} runs again`, () => !isStopped(pid) || undefined, { intervalMs: 1 })
    this.#state = 'running'
  }

  /** Notes that the cluster has made the learner a voting member. */
  markPromoted(): void {
    this.#isLearner = false
  }

  /** Ends the process for good and deletes the data. */
  async discard(): Promise<void> {
    await this.signal('SIGKILL')
    this.#state = 'removed'
    rmSync(this.dataDir, { recursive: true, force: true })
  }

  /** Ends the process from an exit handler, where nothing can be awaited. */
  killNow(): void {
    this.#process?.kill('SIGKILL')
  }

  get #logFile(): string {
    return join(this.#setup.folder, 'etcd.log')
  }

  #ownFlags(): EtcdFlags {
    return {
      name: this.name,
      'data-dir': this.dataDir,
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
    return poll(`${this.name} ${what}`, attempt, { timeoutMs: 30_000, intervalMs: everyMs, giveUp })
  }
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
