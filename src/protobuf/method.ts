import { isEtcdError } from '../core/errors.js'
import { isError } from '../core/thrown.js'
import { protocolError } from './protocol-error.js'
import { Reader } from './reader.js'
import { Writer } from './writer.js'

/** The number of messages in each direction. */
export type MethodKind = 'unary' | 'serverStream' | 'bidi'

/** One RPC of etcd: its path, its properties, and the codec of its messages. */
export interface Method<Request, Response, Kind extends MethodKind = MethodKind> {
  /** The service and the method, for example `KV.Range`. */
  readonly name: string
  /** The HTTP/2 path, for example `/etcdserverpb.KV/Range`. */
  readonly path: string
  readonly kind: Kind
  /** Whether the call may be retried although an earlier attempt may have been applied. */
  readonly repeatable: boolean
  /** Whether the call changes nothing, whatever its request. */
  readonly readOnly: boolean
  /** Throws `InvalidArgumentError` for a value that cannot be encoded. */
  encode(request: Request): Buffer
  /** Throws `EtcdError` with the code `PROTOCOL_ERROR`. Byte fields are views of `bytes`. */
  decode(bytes: Buffer): Response
}

/** A method whose responses come as a stream. */
export interface StreamMethod<Request, Response> extends Method<Request, Response> {
  /** The parts of a large response, decoded one by one; `undefined` for one that is decoded as a whole. */
  parts?(bytes: Buffer): Iterator<Response, undefined> | undefined
}

/** The methods that change nothing. */
const readOnly: ReadonlySet<string> = new Set([
  'KV.Range',
  'KV.RangeStream',
  'Lease.LeaseTimeToLive',
  'Lease.LeaseLeases',
  'Cluster.MemberList',
  'Maintenance.Status',
  'Maintenance.Hash',
  'Maintenance.HashKV',
  'Maintenance.Snapshot',
  'Auth.AuthStatus',
  'Auth.UserGet',
  'Auth.UserList',
  'Auth.RoleGet',
  'Auth.RoleList',
  'Election.Leader',
  'Election.Observe',
  'Health.Check',
  'Health.Watch',
  'Health.List',
])

/**
 * The methods that may be executed twice. LeaseGrant is one of them because this client always chooses the ID: a repeated grant
 * is refused, and does not create a second lease.
 */
const idempotent: ReadonlySet<string> = new Set([
  'Lease.LeaseGrant',
  'Lease.LeaseRevoke',
  'Maintenance.Alarm',
  'Maintenance.MoveLeader',
])

/** The properties of a method, by its name. */
function traits(name: string): { readonly readOnly: boolean; readonly repeatable: boolean } {
  const reads = readOnly.has(name)
  return { readOnly: reads, repeatable: reads || idempotent.has(name) }
}

const shared = new Writer()

/** A method whose messages are written by `write` and read by `read`, which are generated code. */
export function method<Request, Response, Kind extends MethodKind>(
  name: string,
  path: string,
  kind: Kind,
  write: (writer: Writer, request: Request) => void,
  read: (reader: Reader, end: number) => Response,
): Method<Request, Response, Kind> {
  return {
    name,
    path,
    kind,
    ...traits(name),
    encode: (request) => {
      const writer = shared.reset()
      write(writer, request)
      return writer.finish()
    },
    decode: decoder(name, read),
  }
}

/** Decodes the responses of the method called `name` by `read`. */
export function decoder<Response>(
  name: string,
  read: (reader: Reader, end: number) => Response,
): (bytes: Buffer) => Response {
  return (bytes) => {
    try {
      const reader = new Reader(bytes)
      return read(reader, reader.end)
    } catch (error) {
      throw undecodable(name, error)
    }
  }
}

function undecodable(method: string, cause: unknown) {
  const reason = isEtcdError(cause) ? cause.rawMessage : isError(cause) ? cause.message : cause
  return protocolError(`the response cannot be decoded: ${String(reason)}`, { method, cause })
}
