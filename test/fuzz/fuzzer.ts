import type { Etcd3 } from '../../src/etcd3/index.js'
import type { AttemptRecord, ClientOptions, Etcd } from '../../src/index.js'
import type { EtcdCluster } from '../../src/testing/index.js'
import { argumentCases, type Case, optionCases, optionNames } from './cases.js'
import { acceptsAnything, excluded, excludedMethods, internalClasses } from './exclusions.js'
import { CallerError, type Hostile, invalidEverywhere } from './hostile.js'
import { errorFault, isFromEngine, isRefusal, type Outcome, outcomeOf } from './judge.js'
import { etcd3, kit } from './package-entries.js'
import { type Found, functionsOf, holdersOf, prototypesIn } from './reflect.js'
import type { Scope, Subject } from './subjects.js'

/** One function of one object, with the client that it belongs to. */
interface Fuzzed {
  readonly name: string
  readonly found: Found
  readonly valid: readonly unknown[] | undefined
  readonly etcd: Etcd
}

const settleMs = 3000
const defaultName = 'etcd'
/** Methods that a client calls in the background as well, at any time. */
const backgroundMethods: readonly string[] = ['Lease.LeaseKeepAlive', 'Maintenance.Status', 'Watch.Watch']
const polluted = [Object, Array, Function, Promise, Buffer, Uint8Array, Map, Error].map(({ prototype }) => prototype)

/** Calls functions with hostile arguments, and collects what is wrong. */
export class Fuzzer {
  readonly findings: string[] = []
  calls = 0
  functions = 0
  /** The call under way, for a failure without one. */
  current = ''
  readonly #endpoint: string
  readonly #parts: number
  readonly #transport: ClientOptions['transport']
  readonly #pending = new Set<string>()
  /** Classes that calls gave, by the first of them. */
  readonly #discovered = new Map<object, string>()
  /** Classes whose functions are fuzzed. */
  readonly #fuzzed = new Set<object>()
  readonly #sent = new Map<string, number>()
  readonly #prototypes = propertyCount()

  constructor(cluster: EtcdCluster, transport: string, parts: number) {
    this.#parts = parts
    this.#endpoint = cluster.endpoints[0] ?? ''
    this.#transport = transport as ClientOptions['transport']
    kit.channels.attempt.subscribe((record) => {
      const { client, endpoint, method } = record as AttemptRecord
      if (endpoint !== undefined && !backgroundMethods.includes(method))
        this.#sent.set(client.name, this.#sentBy(client.name) + 1)
    })
    process.on('warning', (warning) => {
      if (warning.name !== 'EtcdkitWarning') this.#report('caused a warning', warning)
    })
    process.on('uncaughtException', (error) => this.#report('caused an uncaught exception', error))
    process.on('unhandledRejection', (error) => this.#report('caused an unhandled rejection', error))
  }

  /** Every function of a subject, each on a new object of a new client. */
  async fuzz(name: string, subject: Subject, values: readonly Hostile[]): Promise<void> {
    const target = await this.#made(subject, 'reflection', (made) => {
      this.#discover(name, made)
      for (const holder of holdersOf(made)) this.#fuzzed.add(holder)
      return functionsOf(made)
    })
    for (const { name: method } of target) {
      const full = `${name}.${method}`
      if (full in excluded || excludedMethods.includes(method)) continue
      this.functions += 1
      await this.#made(subject, full, (made, scope) =>
        this.#fuzzFunction(made, scope, { full, method }, subject, values),
      )
    }
  }

  /** Waits for the end of all calls: their clients are closed. */
  async settle(): Promise<void> {
    const endsAt = performance.now() + settleMs
    while (this.#pending.size > 0 && performance.now() < endsAt) await new Promise((turn) => setTimeout(turn, 20))
    for (const [prototype, label] of this.#discovered) {
      const { name } = prototype.constructor
      if (this.#fuzzed.has(prototype) || prototype instanceof Error || internalClasses.includes(name)) continue
      this.findings.push(`${label} gives a ${name}: no subject has its functions`)
    }
    for (const call of this.#pending) this.findings.push(`${call}: never settled, although its client is closed`)
  }

  async #made<T>(subject: Subject, name: string, use: (made: object, scope: Scope) => T | Promise<T>): Promise<T> {
    const etcd = new kit.Etcd({
      endpoints: this.#endpoint,
      transport: this.#transport,
      diagnostics: { name },
    })
    const others: Etcd3[] = []
    const scope = {
      etcd,
      endpoint: this.#endpoint,
      etcd3: (): Etcd3 => {
        const other = new etcd3.Etcd3({ hosts: this.#endpoint })
        others.push(other)
        return other
      },
    }
    try {
      await etcd.connect()
      // A transaction is a thenable: it must not be awaited.
      const making = subject.make(scope)
      const made = making instanceof Promise ? await making : making
      return await use(made as object, scope)
    } finally {
      await Promise.all([etcd, ...others].map((client) => client.close()))
    }
  }

  async #fuzzFunction(
    made: object,
    scope: Scope,
    { full, method }: { readonly full: string; readonly method: string },
    subject: Subject,
    values: readonly Hostile[],
  ): Promise<void> {
    const found = functionsOf(made).find(({ name }) => name === method)
    if (found === undefined) return
    const row = subject.valid?.[method]
    const valid = typeof row === 'function' ? row(scope) : row
    const fuzzed = { name: full, found, valid, etcd: scope.etcd }
    for (const each of await this.#cases(fuzzed, values)) await this.#check(fuzzed, each)
  }

  async #cases({ found, valid }: Fuzzed, values: readonly Hostile[]): Promise<readonly Case[]> {
    const cases = argumentCases(valid, values)
    if (valid === undefined) return cases
    const names = await optionNames(valid, async (args) => {
      const outcome = await outcomeOf(() => found.call(...args))
      return outcome.kind === 'error' ? outcome.error : undefined
    })
    return [...cases, ...optionCases(valid, names, values, this.#parts)]
  }

  async #check(fuzzed: Fuzzed, { place, value, args }: Case): Promise<void> {
    const label = `${fuzzed.name} with ${value.name} as ${place}`
    this.current = label
    this.calls += 1
    const sent = this.#sentFor(fuzzed)
    const outcome = await outcomeOf(() => fuzzed.found.call(...args()))
    const fault = this.#faultOf(fuzzed, place, value, outcome)
    if (fault !== undefined) this.findings.push(`${label}: ${fault}`)
    if (isRefusal(outcome) && this.#sentFor(fuzzed) !== sent) this.findings.push(`${label}: refused, and sent`)
    if (propertyCount() !== this.#prototypes) this.findings.push(`${label}: changed a prototype`)
    this.#follow(label, outcome)
  }

  /** Requests of the clients of a subject: the client of etcd3 has no separate name. */
  #sentFor({ name }: Fuzzed): number {
    return this.#sentBy(name) + this.#sentBy(defaultName)
  }

  #sentBy(name: string): number {
    return this.#sent.get(name) ?? 0
  }

  #faultOf(fuzzed: Fuzzed, place: string, value: Hostile, outcome: Outcome): string | undefined {
    if (outcome.kind === 'error') return errorFault(outcome.error)
    if (place === 'all' || !invalidEverywhere.includes(value)) return undefined
    if (`${fuzzed.name} ${place}` in acceptsAnything) return undefined
    return `was accepted`
  }

  /** Notes what is not settled yet, and classes that no subject has. */
  #follow(label: string, outcome: Outcome): void {
    if (outcome.kind === 'value') this.#discover(label, outcome.value)
    if (outcome.kind !== 'pending') return
    this.#pending.add(label)
    outcome.settled.then((late) => {
      this.#pending.delete(label)
      const fault = late.kind === 'error' ? errorFault(late.error) : undefined
      if (fault !== undefined) this.findings.push(`${label}: ${fault}`)
      this.#follow(label, late)
    })
  }

  #discover(label: string, value: unknown): void {
    for (const prototype of prototypesIn(value)) {
      if (!this.#discovered.has(prototype)) this.#discovered.set(prototype, label)
    }
  }

  #report(what: string, error: unknown): void {
    if (error instanceof CallerError || isFromEngine(error)) return
    this.findings.push(`${what} at or before ${this.current}: ${error instanceof Error ? error.stack : String(error)}`)
  }
}

function propertyCount(): number {
  return polluted.reduce((sum, prototype) => sum + Reflect.ownKeys(prototype).length, 0)
}
