import { internalsOf, type RawParts } from '../client/client.js'
import type { CallOptions, Etcd } from '../index.js'
import type { KvCall, KvService } from '../kv/kv-service.js'
import { isReadOnly, linearizableRequest } from '../kv/txn.js'
import type { TxnRequest } from '../protobuf/generated/messages.js'
import { type Method, methods } from '../protobuf/methods.js'
import { type CallContext, type CallKind, callContext } from '../transport/transport.js'
import { ClientRuntimeError } from './errors.js'
import type { ServiceName } from './rpc/call-context.js'
import type { StreamingClient } from './rpc/callable.js'
import { toRequest } from './rpc/request.js'
import { toResponse } from './rpc/response.js'
import { Stream } from './stream.js'

type AnyMethod = Method<object, object>
type Services = Readonly<Record<ServiceName, Readonly<Record<string, AnyMethod>>>>

/** Calls by the names and with the messages of etcd3, made as the engine makes its own: balanced, repeated where that is safe. */
export class RawCalls {
  readonly #parts: RawParts

  constructor(client: Etcd) {
    this.#parts = internalsOf(client)
  }

  async unary(service: ServiceName, name: string, payload: object, options: CallOptions): Promise<object> {
    const method = methodOf(service, name)
    const request = toRequest(method.name, payload)
    const context = callContext(options, kindOf(method, request))
    const isKv = service === 'KV'
    const answer = isKv ? this.#kv(name, request, context) : this.#parts.transport.unary(method, request, context)
    return toResponse(service, await answer)
  }

  async #kv(name: string, request: object, context: CallContext): Promise<object> {
    // The KV service and etcd3 use the same method names.
    const call = this.#parts.kv[name as keyof KvService] as KvCall<object, object>
    if (name !== 'txn') return call(request, context)
    const sent = linearizableRequest(request)
    const answer = await call(sent, context)
    return sent === request ? answer : { ...answer, responses: [] }
  }

  streams(): StreamingClient {
    const open = (service: ServiceName, name: string, request?: object) => (_: unknown, options: unknown) =>
      new Stream(this.#parts.streams, { service, method: methodOf(service, name), options: options ?? {}, request })
    return {
      watch: open('Watch', 'watch'),
      leaseKeepAlive: open('Lease', 'leaseKeepAlive'),
      snapshot: open('Maintenance', 'snapshot', {}),
    }
  }
}

function methodOf(service: ServiceName, name: string): AnyMethod {
  // etcd3 names methods as the wire does, with a lower-case first letter.
  const method = (methods as unknown as Services)[service]?.[name.slice(0, 1).toUpperCase() + name.slice(1)]
  if (method === undefined) throw new ClientRuntimeError(`there is no call ${service}.${name}`)
  return method
}

/** How the engine makes such a call itself. */
function kindOf(method: AnyMethod, request: object): CallKind {
  const { repeatable, readOnly, name } = method
  switch (name.split('.')[0]) {
    case 'KV':
      return kvKind(method, request)
    case 'Lease':
      if (readOnly) return { repeatable, requiresFloor: true, skipsRevisionCheck: true }
      // A grant whose ID the server chooses would be made twice.
      return { repeatable: repeatable && 'ID' in request, requiresFloor: true, proposal: true }
    default:
      return { repeatable }
  }
}

function kvKind({ name, repeatable }: AnyMethod, request: object): CallKind {
  if (name === 'KV.Range') {
    const mode = 'serializable' in request && request.serializable === true ? 'serializable' : 'linearizable'
    return { repeatable, requiresFloor: true, readPolicy: { mode } }
  }
  if (name === 'KV.Compact') return { requiresFloor: true }
  const isRead = name === 'KV.Txn' && isReadOnly(request as TxnRequest)
  return { requiresFloor: true, repeatable: isRead, proposal: !isRead }
}
