import type { CallOptions } from '../call-options.js'
import type { ICallable, IDuplexStream } from './callable.js'
import type * as messages from './kv-messages.js'
import { openStream } from './open-stream.js'

/** The KV service: its calls as etcd has them. */
export class KVClient {
  readonly #client: ICallable<unknown>

  constructor(client: ICallable<unknown>) {
    this.#client = client
  }

  range(req: messages.IRangeRequest, options?: CallOptions): Promise<messages.IRangeResponse> {
    return this.#client.exec('KV', 'range', req, options)
  }

  put(req: messages.IPutRequest, options?: CallOptions): Promise<messages.IPutResponse> {
    return this.#client.exec('KV', 'put', req, options)
  }

  deleteRange(req: messages.IDeleteRangeRequest, options?: CallOptions): Promise<messages.IDeleteRangeResponse> {
    return this.#client.exec('KV', 'deleteRange', req, options)
  }

  txn(req: messages.ITxnRequest, options?: CallOptions): Promise<messages.ITxnResponse> {
    return this.#client.exec('KV', 'txn', req, options)
  }

  compact(req: messages.ICompactionRequest, options?: CallOptions): Promise<messages.ICompactionResponse> {
    return this.#client.exec('KV', 'compact', req, options)
  }
}

/** The Watch service: its calls as etcd has them. */
export class WatchClient {
  readonly #client: ICallable<unknown>

  constructor(client: ICallable<unknown>) {
    this.#client = client
  }

  watch(options?: CallOptions): Promise<IDuplexStream<messages.IWatchRequest, messages.IWatchResponse>> {
    return openStream(this.#client, { service: 'Watch', method: 'watch', isStream: true }, options)
  }
}

/** The Lease service: its calls as etcd has them. */
export class LeaseClient {
  readonly #client: ICallable<unknown>

  constructor(client: ICallable<unknown>) {
    this.#client = client
  }

  leaseGrant(req: messages.ILeaseGrantRequest, options?: CallOptions): Promise<messages.ILeaseGrantResponse> {
    return this.#client.exec('Lease', 'leaseGrant', req, options)
  }

  leaseRevoke(req: messages.ILeaseRevokeRequest, options?: CallOptions): Promise<messages.ILeaseRevokeResponse> {
    return this.#client.exec('Lease', 'leaseRevoke', req, options)
  }

  leaseKeepAlive(
    options?: CallOptions,
  ): Promise<IDuplexStream<messages.ILeaseKeepAliveRequest, messages.ILeaseKeepAliveResponse>> {
    return openStream(this.#client, { service: 'Lease', method: 'leaseKeepAlive', isStream: true }, options)
  }

  leaseTimeToLive(
    req: messages.ILeaseTimeToLiveRequest,
    options?: CallOptions,
  ): Promise<messages.ILeaseTimeToLiveResponse> {
    return this.#client.exec('Lease', 'leaseTimeToLive', req, options)
  }

  leaseLeases(options?: CallOptions): Promise<messages.ILeaseLeasesResponse> {
    return this.#client.exec('Lease', 'leaseLeases', {}, options)
  }
}
