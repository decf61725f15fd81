import type { MessageName } from './generated/rules.js'
import { decodeCold, encodeCold, prepareCold } from './proto-codec.js'
import { protocolError } from './protocol-error.js'
import { Reader } from './reader.js'

/** How many messages go each way. */
export type MethodKind = 'unary' | 'serverStream' | 'bidi'

/** One RPC of etcd: where it is called and how its messages are written and read. */
export interface Method<Request, Response, Kind extends MethodKind = MethodKind> {
  /** The service and the method, for example `KV.Range`. */
  readonly name: string
  /** The HTTP/2 path, for example `/etcdserverpb.KV/Range`. */
  readonly path: string
  readonly kind: Kind
  /** Whether the call may be sent again after it may have been applied. */
  readonly repeatable: boolean
  /** Whether the call changes nothing, whatever its request holds. */
  readonly readOnly: boolean
  /** Loads what `encode` and `decode` need before they are called; `undefined` where nothing is missing. */
  prepare(): Promise<void> | undefined
  /** Throws `InvalidArgumentError` for an integer, an ID, an enum name or bytes that the wire cannot hold. */
  encode(request: Request): Buffer
  /** Throws `EtcdError` with the code `PROTOCOL_ERROR`. Byte fields are views of `bytes`. */
  decode(bytes: Buffer): Response
}

/** What changes nothing. */
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
 * What comes to the same when it is done twice. LeaseGrant is one of them because this client always chooses the ID: the
 * second grant of a lost answer is refused, not doubled.
 */
const idempotent: ReadonlySet<string> = new Set([
  'Lease.LeaseGrant',
  'Lease.LeaseRevoke',
  'Maintenance.Alarm',
  'Maintenance.MoveLeader',
])

/** What a method's name says about calling it. */
function traits(name: string): { readonly readOnly: boolean; readonly repeatable: boolean } {
  const reads = readOnly.has(name)
  return { readOnly: reads, repeatable: reads || idempotent.has(name) }
}

/** A method with lean codecs of its own. */
export function hot<Request, Response, Kind extends MethodKind>(
  name: string,
  path: string,
  kind: Kind,
  encode: (request: Request) => Buffer,
  read: (reader: Reader, end: number) => Response,
): Method<Request, Response, Kind> {
  return {
    name,
    path,
    kind,
    ...traits(name),
    prepare: () => undefined,
    encode,
    decode: (bytes) => {
      try {
        const reader = new Reader(bytes)
        return read(reader, reader.end)
      } catch (error) {
        throw undecodable(name, error)
      }
    },
  }
}

/** A method that is called too rarely for lean codecs; the protobuf library reads and writes its messages. */
export function cold<Request extends object, Response, Kind extends MethodKind>(
  name: string,
  path: string,
  kind: Kind,
  request: MessageName,
  response: MessageName,
): Method<Request, Response, Kind> {
  return {
    name,
    path,
    kind,
    ...traits(name),
    prepare: prepareCold,
    encode: (message) => encodeCold(path, request, message),
    decode: (bytes) => {
      try {
        // The generated rows name the message that `Response` is the type of.
        return decodeCold(path, response, bytes) as Response
      } catch (error) {
        throw undecodable(name, error)
      }
    },
  }
}

function undecodable(method: string, cause: unknown) {
  const reason = cause instanceof Error ? ('rawMessage' in cause ? cause.rawMessage : cause.message) : cause
  return protocolError(`the answer cannot be decoded: ${String(reason)}`, { method, cause })
}
