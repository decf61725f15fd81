import { type ClientOptions, type Etcd, isEtcdError, type Member, type MemberStatus } from '../../index.js'
import { CommandFailed, messageOf } from '../failure.js'
import { lookOverHttp } from './http-look.js'
import { lookAtKeys } from './look-at-keys.js'
import { lookAtLeases } from './look-at-leases.js'
import { answerMsOf, memberIdOf, memberList, type Probe, probe, refusalOf, silenceOf } from './probe.js'
import type { AlarmReport, ClusterReport, MemberAnswer, MemberReport, QuorumReport, Unseen } from './report.js'
import { roundTripsOf } from './round-trip.js'

/** What to look at, and with what. */
export interface CollectOptions {
  readonly clientOptions: ClientOptions
  /** A client of the whole cluster. */
  readonly etcd: Etcd
  /** Creates another client that does not log in. The creator of this one closes it. */
  readonly anonymous: () => Etcd
  readonly signal: AbortSignal
  /** Looks at keys and leases, too; `deep` reads every key. */
  readonly keys: { readonly separator: string; readonly deep: boolean } | undefined
  /** Called with what is being looked at. */
  readonly onStep: (what: string) => void
}

/** Looks at a cluster. Rejects where nobody answers, or not to this user: then there is nothing to be said. */
export async function collectReport(options: CollectOptions): Promise<ClusterReport> {
  const collector = new Collector(options)
  try {
    return await collector.collect()
  } finally {
    await collector.close()
  }
}

class Collector {
  readonly #options: CollectOptions
  readonly #probes = new Map<string, Probe>()
  readonly #unseen: Unseen[] = []

  constructor(options: CollectOptions) {
    this.#options = options
  }

  async collect(): Promise<ClusterReport> {
    const { onStep } = this.#options
    onStep('endpoints')
    const given = await this.#given()
    await this.#probeAll(given)
    this.#refuseSilence()
    const listed = (await this.#seen('the list of members', () => memberList(this.#answering(), this.#signal))) ?? []
    await this.#probeAll(this.#untried(listed, given))
    onStep('members')
    const looks = await this.#lookAll(this.#targets(listed, given))
    onStep('round trips')
    const members: MemberReport[] = []
    // One after the other: side by side they would measure each other.
    for (const look of looks) members.push(await this.#measured(look))
    onStep('agreement')
    const quorum = await this.#quorum()
    const names = new Map(members.map(({ id, name }) => [id, name]))
    const alarms = await this.#alarms(quorum, names)
    const authEnabled = await this.#authEnabled()
    return {
      at: new Date(),
      endpoints: given.map((endpoint) => this.#endpoint(endpoint)),
      clusterId: this.#clusterId(),
      members,
      quorum,
      alarms,
      authEnabled,
      passwordInClear: this.#sendsPasswordInClear(members),
      ...(await this.#usage(members, quorum)),
      unseen: this.#unseen,
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#probes.values()].map(({ calls }) => calls.close()))
  }

  get #signal(): AbortSignal {
    return this.#options.signal
  }

  get #callOptions(): { readonly timeoutMs: number; readonly signal: AbortSignal } {
    return { timeoutMs: answerMsOf(this.#options.clientOptions), signal: this.#signal }
  }

  async #probeAll(endpoints: readonly string[]): Promise<void> {
    const untried = [...new Set(endpoints)].filter((endpoint) => !this.#probes.has(endpoint))
    const { clientOptions } = this.#options
    const probes = await Promise.all(untried.map((endpoint) => probe(clientOptions, endpoint, this.#signal)))
    for (const found of probes) this.#probes.set(found.calls.endpoint, found)
  }

  #answering(): Probe[] {
    return [...this.#probes.values()].filter((probe) => memberIdOf(probe) !== undefined)
  }

  #refuseSilence(): void {
    if (this.#answering().length > 0) return
    const probes = [...this.#probes.values()]
    const refusal = probes.map(refusalOf).find((error) => error !== undefined)
    if (refusal !== undefined) {
      throw new CommandFailed(`the members do not answer this user: ${messageOf(refusal)}`, { cause: refusal })
    }
    const reasons = probes.map((probe) => `${probe.calls.endpoint} (${silenceOf(probe)})`)
    const [cause] = probes.map(({ result }) => ('error' in result ? result.error : undefined))
    throw new CommandFailed(`no member answers: ${reasons.join(', ')}`, { cause })
  }

  /** The endpoints as they are called from here on; those of DNS are known when they were looked up. */
  async #given(): Promise<string[]> {
    const { etcd, clientOptions } = this.#options
    // Whether it connects shows when each is asked.
    if (clientOptions.discovery !== undefined) await etcd.connect({ signal: this.#signal }).catch(() => {})
    this.#signal.throwIfAborted()
    return etcd.endpoints().map(({ endpoint }) => endpoint)
  }

  /** The addresses of members that have not answered yet; none without TLS where others have it: secrets go there. */
  #untried(listed: readonly Member[], given: readonly string[]): readonly string[] {
    const answered = this.#answering().map(memberIdOf)
    const hasTls = given.some(isTls)
    const silent = listed.filter(({ id }) => !answered.includes(id))
    return silent.flatMap(({ clientUrls }) => clientUrls).filter((url) => isTls(url) === hasTls)
  }

  /** Where each member is: at an address where it answers, or else at the first that it has. */
  #targets(listed: readonly Member[], given: readonly string[]): Target[] {
    if (listed.length === 0)
      return given.map((endpoint) => ({ member: undefined, probe: this.#probes.get(endpoint), endpoint }))
    return listed.map((member) => {
      const answering = this.#answering().find((probe) => memberIdOf(probe) === member.id)
      const probe =
        answering ?? member.clientUrls.map((url) => this.#probes.get(url)).find((found) => found !== undefined)
      return { member, probe, endpoint: probe?.calls.endpoint ?? member.clientUrls[0] ?? 'no address' }
    })
  }

  async #lookAll(targets: readonly Target[]): Promise<MemberReport[]> {
    const members = await Promise.all(targets.map((target) => this.#look(target)))
    return members.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
  }

  async #look({ member, probe, endpoint }: Target): Promise<MemberReport> {
    const id = member?.id ?? (probe && memberIdOf(probe))
    // A member has no name until it is started for the first time.
    const name = member?.name || (id ?? endpoint)
    const facts = { name, id, endpoint, isLearner: member?.isLearner ?? false, roundTrip: undefined }
    if (probe === undefined || !('status' in probe.result)) {
      const reason = (probe && silenceOf(probe)) ?? 'it has never been started'
      return { ...facts, answer: { kind: 'silent', reason }, metrics: undefined, tls: undefined, clock: undefined }
    }
    const { status } = probe.result
    const http = await lookOverHttp(endpoint, { ...this.#callOptions, tls: this.#options.clientOptions.tls })
    return { ...facts, isLearner: status.isLearner, answer: answerOf(status), ...http }
  }

  async #measured(member: MemberReport): Promise<MemberReport> {
    const probe = this.#probes.get(member.endpoint)
    if (member.answer.kind === 'silent' || probe === undefined) return member
    const options = this.#callOptions
    const roundTrip = await this.#seen(`round trips to ${member.name}`, () =>
      roundTripsOf(probe.calls, 'serializable', options),
    )
    return { ...member, roundTrip }
  }

  /** A linearizable read by any member shows whether there is a majority. */
  async #quorum(): Promise<QuorumReport> {
    let failure: unknown
    for (const { calls, result } of this.#answering()) {
      if (!('status' in result) || result.status.isLearner) continue
      try {
        const options = this.#callOptions
        const spread = await roundTripsOf(calls, 'linearizable', options)
        return { ok: true, linearizableP50Ms: spread.p50Ms }
      } catch (error) {
        this.#signal.throwIfAborted()
        failure = error
      }
    }
    return { ok: false, reason: failure === undefined ? 'no voting member answers' : messageOf(failure) }
  }

  async #alarms(quorum: QuorumReport, names: ReadonlyMap<string | undefined, string>): Promise<AlarmReport[]> {
    const voter = this.#answering().find(({ result }) => 'status' in result && !result.status.isLearner)
    if (!quorum.ok || voter === undefined) {
      this.#unseen.push({ what: 'alarms', why: 'they are read by agreement of the members' })
      return []
    }
    const options = this.#callOptions
    const alarms = await this.#seen('alarms', () => voter.calls.alarms(options))
    return (alarms ?? []).map(({ memberId, type }) => ({ member: names.get(memberId) ?? memberId, type }))
  }

  async #authEnabled(): Promise<boolean | undefined> {
    const { etcd, anonymous, clientOptions } = this.#options
    const options = this.#callOptions
    try {
      return (await etcd.auth.status(options)).enabled
    } catch (error) {
      this.#signal.throwIfAborted()
      if (!isEtcdError(error, 'UNIMPLEMENTED')) return this.#notSeen('authentication', error)
    }
    // Before 3.5 it shows by whether somebody without a login is refused; a certificate may be one.
    if (clientOptions.tls?.cert !== undefined) return undefined
    const refused = await this.#seen('authentication', () =>
      anonymous()
        .auth.users.list(options)
        .then(
          () => false,
          (error: unknown) => isEtcdError(error, 'USER_EMPTY') || Promise.reject(error),
        ),
    )
    return refused
  }

  async #usage(
    members: readonly MemberReport[],
    quorum: QuorumReport,
  ): Promise<Pick<ClusterReport, 'keys' | 'leases'>> {
    const { keys: wanted, etcd, onStep } = this.#options
    if (wanted === undefined) return { keys: undefined, leases: undefined }
    const sizes = members.map(({ answer }) => (answer.kind === 'answered' ? answer.dbInUseBytes : 0))
    const options = { ...wanted, dbInUseBytes: Math.max(0, ...sizes), signal: this.#signal }
    onStep('keys')
    const keys = await this.#seen('keys', () => lookAtKeys(etcd, options))
    onStep('leases')
    const leases = quorum.ok ? await this.#seen('leases', () => lookAtLeases(etcd, this.#signal)) : undefined
    return { keys, leases }
  }

  #endpoint(endpoint: string): ClusterReport['endpoints'][number] {
    const probe = this.#probes.get(endpoint)
    return { endpoint, memberId: probe && memberIdOf(probe), reason: probe && silenceOf(probe) }
  }

  #clusterId(): string | undefined {
    return this.#answering().map(({ result }) => ('status' in result ? result.status.clusterId : undefined))[0]
  }

  #sendsPasswordInClear(members: readonly MemberReport[]): boolean {
    const { auth } = this.#options.clientOptions
    return auth !== undefined && members.some(({ endpoint }) => /^http:\/\/(?!localhost|127\.|\[::1\])/.test(endpoint))
  }

  async #seen<Value>(what: string, look: () => Promise<Value>): Promise<Value | undefined> {
    try {
      return await look()
    } catch (error) {
      this.#signal.throwIfAborted()
      return this.#notSeen(what, error)
    }
  }

  #notSeen(what: string, error: unknown): undefined {
    this.#unseen.push({ what, why: messageOf(error) })
  }
}

function isTls(url: string): boolean {
  return /^(https|unixs):/.test(url)
}

interface Target {
  readonly member: Member | undefined
  readonly probe: Probe | undefined
  readonly endpoint: string
}

function answerOf(status: MemberStatus): MemberAnswer {
  const { version, isLeader, leaderId, raftTerm, raftIndex, raftAppliedIndex, revision, errors } = status
  return {
    kind: 'answered',
    version,
    isLeader,
    leader: leaderId,
    raftTerm,
    raftIndex,
    appliedIndex: raftAppliedIndex,
    revision,
    dbBytes: status.dbSizeBytes,
    dbInUseBytes: status.dbSizeInUseBytes,
    quotaBytes: status.dbQuotaBytes,
    errors,
  }
}
