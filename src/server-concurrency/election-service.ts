import { EtcdError, InvalidArgumentError, isEtcdError } from '../core/errors.js'
import type { Bytes } from '../core/key-range.js'
import type { KeyValue } from '../core/key-value.js'
import { assertKnownOptions, describe, hexId, optionalSignal, ownBytes } from '../core/validate.js'
import type { LeaderKeyInit, LeaderResponse } from '../protobuf/generated/messages.js'
import { type Method, methods } from '../protobuf/methods.js'
import { serverStream } from '../streams/server-stream.js'
import type { StreamSource } from '../streams/stream-source.js'
import { checkCall } from '../transport/call-options.js'
import { type CallOptions, callContext, type Transport } from '../transport/transport.js'
import { NameSpace } from './name-space.js'

/** Identifies a leadership in calls to `proclaim()` and `resign()`. */
export interface LeaderKey {
  /** The name of the election. */
  readonly name: Buffer
  /** The key of the leader. */
  readonly key: Buffer
  /** The revision that created the key. */
  readonly createRevision: number
  readonly lease: string
}

/**
 * The Election service of the members (`v3election`), where the server campaigns on behalf of the client. It uses the
 * same keys as `election()`, so candidates of both compete, but provides no signal, no fence and no notification of an
 * election without a leader. Intended for programs that depend on this service, and for their tests; otherwise use
 * `election()`.
 */
export class ElectionService {
  readonly #transport: Transport
  readonly #streams: StreamSource
  readonly #names: NameSpace

  /** @internal Created by the client. */
  constructor(transport: Transport, streams: StreamSource, prefix: Buffer) {
    this.#transport = transport
    this.#streams = streams
    this.#names = new NameSpace(prefix)
  }

  /**
   * Waits to be elected, as long as the lease lives. A call that ends early has an unknown effect: revoke the lease.
   *
   * @param lease The ID of the lease that the candidacy depends on.
   * @param options `timeoutMs` is 10 s by default, as for any call; `Infinity` disables it.
   */
  async campaign(name: Bytes, lease: string, value: Bytes, options?: CallOptions): Promise<LeaderKey> {
    checkCall('electionService.campaign()', options)
    const election = this.#names.into('name', name)
    const id = hexId('lease', lease)
    const request = { name: election, lease: id, value: ownBytes('value', value) }
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

  /**
   * Changes the value of the leader.
   *
   * @throws `ELECTION_NOT_LEADER` if another candidate leads by now.
   */
  async proclaim(leader: LeaderKey, value: Bytes, options?: CallOptions): Promise<void> {
    checkCall('electionService.proclaim()', options)
    const request = { leader: this.#proof(leader), value: ownBytes('value', value) }
    await this.#call(methods.Election.Proclaim, request, options)
  }

  /** Returns the key of the leader; `undefined` without a leader. */
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
   * Yields the key of the current leader, if any, and again whenever the leader or its value changes.
   *
   * @throws The error that ended the stream, for example when the member fails.
   */
  async *observe(
    name: Bytes,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<KeyValue, void, undefined> {
    assertKnownOptions('electionService.observe()', options, ['signal'])
    const request = { name: this.#names.into('name', name) }
    const ending = optionalSignal('signal', options.signal)
    for await (const response of serverStream(this.#streams, methods.Election.Observe, request, { signal: ending })) {
      const kv = this.#keyOf(response)
      if (kv !== undefined) yield kv
    }
  }

  /** Gives up leadership. Succeeds even if it was already lost. */
  async resign(leader: LeaderKey, options?: CallOptions): Promise<void> {
    checkCall('electionService.resign()', options)
    await this.#call(methods.Election.Resign, { leader: this.#proof(leader) }, options)
  }

  #proof(leader: LeaderKey): LeaderKeyInit {
    if (typeof leader !== 'object' || leader === null) {
      throw new InvalidArgumentError(`\`leader\` must be the result of campaign(), got ${describe(leader)}`)
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
