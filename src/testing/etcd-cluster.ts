import { join } from 'node:path'
import { enableAuth, rootUser } from './cluster-auth.js'
import { type ClusterFolder, openClusterFolder } from './cluster-folder.js'
import type { EtcdClusterOptions } from './cluster-options.js'
import { ClusterPorts } from './cluster-ports.js'
import { type ClusterCertificates, type ClusterTls, createCertificates } from './cluster-tls.js'
import { type EtcdBinary, findEtcd } from './etcd-binary.js'
import { clientVariables, etcdctlVariables, withoutEtcdVariables } from './etcd-environment.js'
import type { EtcdMember } from './etcd-member.js'
import { FaultProxy } from './fault-proxy.js'
import { Gateway, GatewayError, type GatewayMessage, memberList, toDecimalId } from './gateway.js'
import { type KeptMember, placeMember, placeMembers } from './kept-cluster.js'
import { agreedLeader } from './leader.js'
import { baseFlags, type EtcdFlags } from './member-flags.js'
import { MemberProcess, type MemberSetup } from './member-process.js'
import { poll } from './poll.js'
import { onProcessExit } from './process-exit.js'
import { runCommand } from './run-command.js'
import { messageOf } from './thrown.js'

/** Changes for a restart of a member. */
export interface RestartOptions {
  /** The version to run on the same data, as in a rolling upgrade. @default the version of the member */
  readonly version?: string
  /** Flags to change on this member only; undefined removes a flag. */
  readonly flags?: EtcdFlags
}

/**
 * A real etcd cluster on 127.0.0.1 for tests, with its data in a temporary directory unless `dataDir` is set. It ends with `stop()`, at the end of
 * an `await using` block, or with this process, however the process ends.
 *
 * Methods take the index of a member, which never changes.
 *
 * @example
 * ```ts
 * import { Etcd } from 'etcdkit'
 * import { EtcdCluster } from 'etcdkit/testing'
 *
 * await using cluster = await EtcdCluster.start({ members: 3 })
 * await using etcd = new Etcd({ endpoints: cluster.endpoints })
 * await etcd.put('key', 'value')
 * await cluster.kill(await cluster.leader())
 * console.log(await etcd.get('key'))
 * ```
 */
export class EtcdCluster {
  /** TLS files and certificates; undefined for a cluster without TLS. */
  readonly tls: ClusterTls | undefined
  /** The program that new members run. */
  readonly binary: EtcdBinary
  readonly #options: EtcdClusterOptions
  readonly #folder: ClusterFolder
  readonly #ports: ClusterPorts
  readonly #certificates: ClusterCertificates | undefined
  readonly #gateway: Gateway
  readonly #members: MemberProcess[] = []
  readonly #proxies: FaultProxy[] = []
  readonly #forget: () => void
  #isAuthEnabled: boolean
  /** Additions happen one after the other: each gets the next index, and etcd takes one change at a time. */
  #lastAddition: Promise<unknown> = Promise.resolve()
  #stopping: Promise<void> | undefined

  private constructor(options: EtcdClusterOptions, binary: EtcdBinary) {
    this.#options = options
    this.binary = binary
    this.#ports = new ClusterPorts(options.port)
    this.#folder = openClusterFolder(options.dataDir)
    this.#certificates = createCertificates(join(this.#folder.path, 'tls'), options.tls)
    this.#gateway = new Gateway(this.#certificates?.gatewayTls())
    this.#isAuthEnabled = this.#folder.previous?.isAuthEnabled ?? false
    if (this.#isAuthEnabled && options.auth !== undefined) this.#gateway.authenticateAs(rootUser(options.auth))
    this.tls = this.#certificates
    this.#forget = onProcessExit(() => this.#abandon())
  }

  /**
   * Starts a cluster and waits until every member answers linearizable reads. Downloads etcd on the first use of a
   * version, see `findEtcd()`.
   *
   * @returns the running cluster; the caller stops it
   * @throws an `Error` with the members' logs in its message if the cluster does not start; nothing is left then
   */
  static async start(options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
    const cluster = new EtcdCluster(options, await findEtcd(options.version))
    try {
      await cluster.#startMembers()
      await cluster.#enableAuth()
      cluster.#save()
      return cluster
    } catch (error) {
      const logs = cluster.logs()
      await cluster.stop()
      throw new Error(`the etcd cluster did not start: ${messageOf(error)}\n${logs}`, { cause: error })
    }
  }

  /** The etcd version of new members, for example `3.5.30`. */
  get version(): string {
    return this.binary.version
  }

  /** All members by index. Removed members stay in the list. */
  get members(): readonly EtcdMember[] {
    return this.#members
  }

  /** Client URLs of all members that are not removed: those of the fault proxies, with `proxy: true`. */
  get endpoints(): string[] {
    return this.#members.filter(({ state }) => state !== 'removed').map(({ endpoint }) => endpoint)
  }

  /**
   * The environment variables with which etcdctl, `etcdkit` and `Etcd.fromEnv()` reach the cluster, as root if
   * authentication is enabled: `ETCDCTL_ENDPOINTS`, and where needed `ETCDCTL_CACERT`, `ETCDCTL_CERT`, `ETCDCTL_KEY` and
   * `ETCDCTL_USER`.
   */
  get env(): Readonly<Record<string, string>> {
    return clientVariables(this.#target(this.endpoints))
  }

  /** Waits until a majority agrees on a running leader. @returns the index of the leader */
  leader(): Promise<number> {
    return poll('the cluster has a leader', async () => {
      const leader = await agreedLeader(this.#voters())
      const index = this.#members.findIndex(({ memberId }) => memberId === leader)
      return index < 0 ? undefined : index
    })
  }

  /** Waits until every running member answers reads: linearizable reads, or serializable reads on a learner. */
  async healthy(): Promise<void> {
    await Promise.all(this.#running().map((member) => member.serving()))
  }

  /** Ends a member with SIGKILL, like a crash. Its data is kept. */
  async kill(index: number): Promise<void> {
    await this.#member(index).signal('SIGKILL')
  }

  /** Ends a member with SIGTERM and waits for its graceful shutdown. Its data is kept. */
  async terminate(index: number): Promise<void> {
    await this.#member(index).signal('SIGTERM')
  }

  /**
   * Starts a member again on its data and ports, after killing it if it runs. Waits until it answers reads, or, without
   * a majority, until it accepts connections.
   */
  async restart(index: number, { version, flags }: RestartOptions = {}): Promise<void> {
    const member = this.#member(index)
    await member.signal('SIGKILL')
    member.spawn({
      ...(version === undefined ? {} : { binary: await findEtcd(version) }),
      ...(flags === undefined ? {} : { flags: { ...member.flags, ...flags } }),
    })
    await (this.#hasMajority() ? member.serving() : member.listening())
  }

  /** Freezes a member with SIGSTOP: its connections stay open and nothing answers. */
  async pause(index: number): Promise<void> {
    await this.#member(index).pause()
  }

  /** Resumes a paused member with SIGCONT. */
  async resume(index: number): Promise<void> {
    await this.#member(index).resume()
  }

  /** Adds a voting member and waits until it answers reads. @returns the index of the new member */
  addMember(): Promise<number> {
    return this.#add(false)
  }

  /** Adds a learner and waits until it answers serializable reads. @returns the index of the new member */
  addLearner(): Promise<number> {
    return this.#add(true)
  }

  /** Promotes a learner to a voting member once it has caught up. */
  async promote(index: number): Promise<void> {
    const member = this.#member(index)
    const message = { ID: toDecimalId(member.memberId) }
    const giveUp = (error: unknown) => {
      if (error !== undefined) throw error
    }
    await poll(`${member.name} has caught up`, () => this.#promoteNow(message), { intervalMs: 20, giveUp })
    member.markPromoted()
    this.#save()
    await member.serving()
  }

  /** Removes a member from the cluster, ends its process and deletes its data. */
  async removeMember(index: number): Promise<void> {
    const member = this.#member(index)
    const message = { ID: toDecimalId(member.memberId) }
    // A leader that removes itself can be gone before it answers.
    const other = this.#running().find((candidate) => candidate !== member && !candidate.isLearner)
    await (other ?? member).call('/v3/cluster/member/remove', message)
    await member.discard()
    this.#save()
  }

  /**
   * Calls a method of etcd's JSON gateway on the leader, past any proxy, and as root if authentication is enabled.
   *
   * @param path for example `/v3/kv/range`
   * @param message the request; bytes are base64 and 64-bit numbers are decimal strings, also in the response
   * @throws `GatewayError` if etcd rejects the call
   */
  async call(path: string, message?: GatewayMessage): Promise<GatewayMessage> {
    return this.#member(await this.leader()).call(path, message)
  }

  /** Sums the samples of a Prometheus metric with these labels over the running members. */
  async metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number> {
    const values = await Promise.all(this.#running().map((member) => member.metric(name, labels)))
    return values.reduce((sum, value) => sum + value, 0)
  }

  /**
   * Runs the etcdctl of the cluster's version against the running members, as root if authentication is enabled.
   *
   * @returns its standard output
   * @throws an `Error` if it fails, or if there is no etcdctl beside etcd
   */
  async etcdctl(...args: string[]): Promise<string> {
    const { etcdctl, etcd } = this.binary
    if (etcdctl === undefined) throw new Error(`there is no etcdctl beside ${etcd}`)
    const endpoints = this.#running().map(({ clientUrl }) => clientUrl)
    const variables = etcdctlVariables(this.#target(endpoints), args)
    return runCommand(etcdctl, args, { env: { ...withoutEtcdVariables(), ...variables } })
  }

  /** The logs of all members. */
  logs(): string {
    return this.#members.map((member) => `--- log of ${member.name} (${member.state}) ---\n${member.log()}`).join('\n')
  }

  /** Kills all members and deletes their data, unless `dataDir` keeps it. Can be called repeatedly. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /** Same as `stop()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #stop(): Promise<void> {
    const { isKept } = this.#folder
    await Promise.all(this.#members.map((member) => (isKept ? member.signal('SIGKILL') : member.discard())))
    await Promise.all(this.#proxies.map((proxy) => proxy.close()))
    this.#deleteTraces()
    this.#forget()
  }

  /** The synchronous part of a stop, when the process is about to exit. */
  #abandon(): void {
    for (const member of this.#members) member.killNow()
    this.#deleteTraces()
  }

  #deleteTraces(): void {
    this.#folder.leave()
    this.#ports.release()
  }

  #target(endpoints: readonly string[]) {
    const { version } = this
    return {
      version,
      endpoints,
      tls: this.#certificates?.clientFiles(),
      rootPassword: this.#options.auth?.rootPassword,
    }
  }

  #save(): void {
    const members = this.#members.filter(({ state }) => state !== 'removed').map((member) => member.kept)
    this.#folder.save({ members, isAuthEnabled: this.#isAuthEnabled })
  }

  async #startMembers(): Promise<void> {
    const members = await placeMembers(this.#ports, this.#folder.previous, this.#options)
    const setups = await Promise.all(members.map((member) => this.#setUp(member)))
    const peers = setups.map(({ name, peerPort }) => `${name}=http://127.0.0.1:${peerPort}`)
    const flags = { 'initial-cluster': peers.join(','), 'initial-cluster-state': 'new' }
    for (const [index, setup] of setups.entries()) this.#create(setup, flags, members[index]?.isLearner)
    this.#save()
    for (const member of this.#members) {
      member.spawn()
      // A new member first asks the others whether it has been there before. One that listens and does not serve yet
      // would make it wait for a second, so they start one after the other.
      await member.servingPeers()
    }
    await this.healthy()
  }

  async #setUp({ name, clientPort, peerPort }: KeptMember): Promise<MemberSetup> {
    return {
      name,
      folder: join(this.#folder.path, name),
      clientPort,
      peerPort,
      scheme: this.tls === undefined ? 'http' : 'https',
      gateway: this.#gateway,
      env: { ...withoutEtcdVariables(), ...this.#options.env },
      proxy: this.#options.proxy ? await this.#startProxy(clientPort) : undefined,
    }
  }

  async #startProxy(clientPort: number): Promise<FaultProxy> {
    const proxy = await FaultProxy.start(`127.0.0.1:${clientPort}`, { port: await this.#ports.any() })
    this.#proxies.push(proxy)
    return proxy
  }

  #create(setup: MemberSetup, flags: EtcdFlags, isLearner = false): MemberProcess {
    const { timers, auth, flags: ownFlags } = this.#options
    const launchFlags = {
      ...baseFlags(timers),
      // etcd's default of 10 makes each Authenticate cost 60 ms of CPU.
      ...(auth === undefined ? {} : { 'bcrypt-cost': 4 }),
      ...this.#certificates?.memberFlags(),
      // A kept cluster survives a crash of the machine.
      ...(this.#folder.isKept ? { 'unsafe-no-fsync': undefined } : {}),
      'initial-cluster-token': this.#folder.path,
      ...flags,
      ...ownFlags,
    }
    const member = new MemberProcess(setup, { binary: this.binary, flags: launchFlags }, isLearner)
    this.#members.push(member)
    return member
  }

  async #enableAuth(): Promise<void> {
    const { auth } = this.#options
    if (auth === undefined || this.#isAuthEnabled) return
    await enableAuth((path, message) => this.call(path, message), rootUser(auth))
    this.#isAuthEnabled = true
    this.#gateway.authenticateAs(rootUser(auth))
    await this.healthy()
  }

  #add(isLearner: boolean): Promise<number> {
    const addition = this.#lastAddition.then(() => this.#addNow(isLearner))
    this.#lastAddition = addition.catch(() => {})
    return addition
  }

  async #addNow(isLearner: boolean): Promise<number> {
    const index = this.#members.length
    // Of a kept cluster, members may have been removed.
    const numbers = this.#members.map(({ name }) => Number(name.slice(1)))
    const setup = await this.#setUp(await placeMember(this.#ports, Math.max(...numbers) + 1, isLearner))
    const peerUrl = `http://127.0.0.1:${setup.peerPort}`
    const answer = await this.call('/v3/cluster/member/add', { peerURLs: [peerUrl], isLearner })
    await Promise.all(this.#running().map((member) => member.knowing(peerUrl)))
    const peers = memberList(answer).map(({ name, peerURLs }) => `${name || setup.name}=${peerURLs[0]}`)
    const flags = { 'initial-cluster': peers.join(','), 'initial-cluster-state': 'existing' }
    const member = this.#create(setup, flags, isLearner)
    this.#save()
    member.spawn()
    await member.serving()
    return index
  }

  async #promoteNow(message: GatewayMessage): Promise<true | undefined> {
    try {
      await this.call('/v3/cluster/member/promote', message)
      return true
    } catch (error) {
      if (error instanceof GatewayError && error.message.includes('in sync with leader')) return undefined
      throw error
    }
  }

  #member(index: number): MemberProcess {
    const member = this.#members[index]
    if (member === undefined) throw new RangeError(`there is no member ${index}, only 0 to ${this.#members.length - 1}`)
    return member
  }

  #running(): MemberProcess[] {
    return this.#members.filter(({ state }) => state === 'running')
  }

  #voters(): MemberProcess[] {
    return this.#members.filter(({ state, isLearner }) => state !== 'removed' && !isLearner)
  }

  #hasMajority(): boolean {
    const voters = this.#voters()
    return voters.filter(({ state }) => state === 'running').length * 2 > voters.length
  }
}
