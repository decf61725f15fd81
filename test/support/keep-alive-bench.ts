import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { KeepAliveScheduler, type LeaseRenewal } from '../../src/lease/keep-alive-scheduler.js'
import type { LeaseEvents } from '../../src/lease/lease-events.js'
import { LeaseLostError } from '../../src/lease/lease-lost-error.js'
import { LeaseRecord } from '../../src/lease/lease-record.js'
import type { LeaseKeepAliveResponse } from '../../src/protobuf/generated/messages.js'
import type { StreamListener } from '../../src/transport/connection/stream-call.js'
import { header } from './fake-transport.js'

/** A keep-alive stream, as the member sees it. */
export interface FakeStream {
  readonly sent: string[]
  readonly listener: StreamListener<LeaseKeepAliveResponse>
  readonly excludedEndpoints: readonly string[]
  isCancelled: boolean
  answer(id: string, ttlSeconds: number, raftTerm?: number): void
}

type Emitted = { [Name in keyof LeaseEvents]: readonly [Name, LeaseEvents[Name]] }[keyof LeaseEvents]

/** A scheduler whose streams the test answers by hand. */
export class Bench {
  readonly streams: FakeStream[] = []
  readonly emitted: Emitted[] = []
  readonly lost: LeaseLostError[] = []
  readonly suspected: string[] = []
  readonly renewals: LeaseRenewal[] = []
  readonly scheduler: KeepAliveScheduler
  replacesTokens = false
  /** Whether a member can be reached: if not, streams stay closed. */
  isReachable = true
  raftTerm = 2
  /** Members that streams are opened on, in turn; those that failed are avoided where there is a choice. */
  members: readonly string[] = ['a']

  constructor(t: TestContext) {
    this.scheduler = new KeepAliveScheduler({
      events: { emit: (name, payload) => this.emitted.push([name, payload] as unknown as Emitted) },
      raftTerm: () => this.raftTerm,
      renewed: (renewed) => this.renewals.push(renewed),
      streams: {
        hasOther: (endpoint, besides = []) => this.#fresh([...besides, endpoint]).length > 0,
        suspect: (endpoint) => this.suspected.push(endpoint),
        refused: () => this.replacesTokens,
        used: () => {},
        // The scheduler uses no more of a stream than this.
        open: async (_method, listener, { excludedEndpoints }) =>
          this.isReachable ? (this.#open(listener as never, excludedEndpoints) as never) : new Promise<never>(() => {}),
      },
    })
    t.after(() => this.scheduler.close())
  }

  get stream(): FakeStream {
    const stream = this.streams.at(-1)
    assert.ok(stream)
    return stream
  }

  lease(id: string, ttlSeconds: number, { isKeptAlive = true, ageMs = 0 } = {}): LeaseRecord {
    const expiresAt = performance.now() + ttlSeconds * 1000 - ageMs
    const record = new LeaseRecord({ id, ttlSeconds, isKeptAlive, expiresAt, onLost: (error) => this.lost.push(error) })
    this.scheduler.add(record)
    return record
  }

  #open(listener: StreamListener<LeaseKeepAliveResponse>, excludedEndpoints: ReadonlySet<string> = new Set()): unknown {
    const sent: string[] = []
    const stream: FakeStream = {
      sent,
      listener,
      excludedEndpoints: [...excludedEndpoints],
      isCancelled: false,
      answer: (ID, TTL, raftTerm = 2) => listener.onMessage({ header: header({ raftTerm }), ID, TTL }),
    }
    this.streams.push(stream)
    const cancel = (): void => {
      stream.isCancelled = true
    }
    const [endpoint] = [...this.#fresh([...excludedEndpoints]), ...this.members]
    return { call: { endpoint, send: ({ ID }: { ID: string }) => sent.push(ID), cancel } }
  }

  #fresh(excludedEndpoints: readonly string[]): string[] {
    return this.members.filter((member) => !excludedEndpoints.includes(member))
  }
}

export function reasonOf({ signal }: LeaseRecord): string | undefined {
  return signal.reason instanceof LeaseLostError ? signal.reason.reason : undefined
}

export function denied(): EtcdError {
  return new EtcdError('permission denied', { code: 'PERMISSION_DENIED', effect: 'none' })
}
