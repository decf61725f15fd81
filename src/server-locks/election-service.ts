import { EtcdError, InvalidArgumentError, isEtcdError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { describe, hexId, keyBytes, optionalSignal } from '../core/validate.js'
import type { LeaderKeyInit, LeaderResponse } from '../protobuf/generated/messages.js'
import { type Method, methods } from '../protobuf/methods.js'
import { serverStream } from '../streams/server-stream.js'
import type { StreamSource } from '../streams/stream-source.js'
import { checkCall } from '../transport/call-options.js'
import { type CallOptions, callContext, type Transport } from '../transport/transport.js'
import { NameSpace } from './name-space.js'

/** Proof of leadership, for `proclaim()` and `resign()`. */
export interface LeaderKey {
  /** The election. */
  readonly name: Buffer
  /** The key of the leader. */
  readonly key: Buffer
  /** The revision that created the key. */
  readonly createRevision: number
  readonly lease: string
}

/**
 * The Election service of the members (`v3election`), where the server campaigns. It uses the same keys as `election()`, so
 * that candidates of both meet, and gives less: no signal, no fence, no word of an election without a leader. Made for
 * programs that keep to the service, and for tests of those; use `election()` otherwise.
 */
export class ElectionService {
  readonly #transport: Transport
  readonly #streams: StreamSource
  readonly #names: NameSpace

  /** Made by the client. */
  constructor(transport: Transport, streams: StreamSource, prefix: Buffer) {
    this.#transport = transport
    this.#streams = streams
    this.#names = new NameSpace(prefix)
  }

  /**
   * Waits to be elected, for as long as the lease is there. A call that ends early has an unknown effect: revoke the lease.
   * `timeoutMs` is that of any call, 10 s; `Infinity` for none.
   */
  async campaign(name: Bytes, lease: string, value: Bytes, options?: CallOptions): Promise<LeaderKey> {
    checkCall('electionService.campaign()', options)
    const election = this.#names.into('name', name)
    const id = hexId('lease', lease)
    const request = { name: election, lease: id, value: keyBytes('value', value) }
    const { leader } = await this.#call(methods.Election.Campaign, request, options)
    if (leader === undefined) throw new EtcdError('the answer lacks the leader', badAnswer)
    const { key, rev } = leader
    return {
      name: this.#names.outOf(election),
      key: this.#names.outOf(key),
      createRevision: rev,
      lease: leader.lease ?? id,
    }
  }

  /** Changes what the leader tells. `ELECTION_NOT_LEADER` if it is another one by now. */
  async proclaim(leader: LeaderKey, value: Bytes, options?: CallOptions): Promise<void> {
    checkCall('electionService.proclaim()', options)
    const request = { leader: this.#proof(leader), value: keyBytes('value', value) }
    await this.#call(methods.Election.Proclaim, request, options)
  }

  /** The key of the leader; `undefined` if there is none. */
  async leader(name: Bytes, options?: CallOptions): Promise<KeyValue | undefined> {
    checkCall('electionService.leader()', options)
    const request = { name: this.#names.into('name', name) }
    try {
      return this.#keyOf(await this.#call(methods.Election.Leader, request, options, true))
    } catch (error) {
      if (isEtcdError(error, 'ELECTION_NO_LEADER')) return undefined
      throw error
    }
  }

  /**
   * The key of the leader now, if there is one, and whenever it is another one or tells something else. Throws when the
   * member that it is on is lost.
   */
  async *observe(
    name: Bytes,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<KeyValue, void, undefined> {
    const request = { name: this.#names.into('name', name) }
    const ending = optionalSignal('signal', signal)
    for await (const response of serverStream(this.#streams, methods.Election.Observe, request, { signal: ending })) {
      const kv = this.#keyOf(response)
      if (kv !== undefined) yield kv
    }
  }

  /** Gives the leadership up. That it was over already is no failure. */
  async resign(leader: LeaderKey, options?: CallOptions): Promise<void> {
    checkCall('electionService.resign()', options)
    await this.#call(methods.Election.Resign, { leader: this.#proof(leader) }, options)
  }

  #proof(leader: LeaderKey): LeaderKeyInit {
    if (typeof leader !== 'object' || leader === null) {
      throw new InvalidArgumentError(`\`leader\` must be what campaign() resolved with, got ${describe(leader)}`)
    }
    const { createRevision, lease } = leader
    const name = this.#names.into('leader.name', leader.name)
    return {
      name,
      key: this.#names.into('leader.key', leader.key),
      rev: createRevision,
      lease: hexId('leader.lease', lease),
    }
  }

  #keyOf({ kv }: LeaderResponse): KeyValue | undefined {
    if (kv !== undefined) kv.key = this.#names.outOf(kv.key)
    return kv
  }

  #call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions | undefined,
    repeatable = false,
  ): Promise<Response> {
    return this.#transport.unary(method, request, callContext(options, { repeatable }))
  }
}

const badAnswer = { code: 'PROTOCOL_ERROR', effect: 'unknown' } as const
