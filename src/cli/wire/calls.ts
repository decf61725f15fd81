import { internalsOf } from '../../client/client.js'
import type { Etcd } from '../../index.js'
import type { Method } from '../../protobuf/methods.js'
import { callContext } from '../../transport/transport.js'

/** How a call is made. */
export interface CallTarget {
  readonly signal?: AbortSignal | undefined
  /** The member to call, in whatever state. @default any healthy member */
  readonly endpoint?: string | undefined
  /** Whether any member may answer from its own data. @default false */
  readonly isSerializable?: boolean | undefined
  /** Time limit, in milliseconds. @default that of `--command-timeout` */
  readonly timeoutMs?: number | undefined
}

/**
 * Makes one call and resolves to the message of the response, whose header etcdctl's formats contain. It passes the
 * client's interceptors: it is retried, authenticated and limited as every call.
 */
export function unary<Request, Response>(
  etcd: Etcd,
  method: Method<Request, Response>,
  request: Request,
  { signal, endpoint, isSerializable, timeoutMs }: CallTarget = {},
): Promise<Response> {
  const { readOnly, repeatable, name } = method
  const serializable = isSerializable === true || endpoint !== undefined
  const isKv = name.startsWith('KV.')
  const call = callContext(
    { signal, timeoutMs },
    {
      repeatable,
      route: { serializable, prefer: undefined, endpoint },
      requiresFloor: isKv && !serializable,
      proposal: !readOnly && (isKv || name.startsWith('Lease.')),
    },
  )
  return internalsOf(etcd).transport.unary(method, request, call)
}
