import { KeyValue } from '../../index.js'
import type { ResponseHeader } from '../../protobuf/generated/messages.js'
import type { IKeyValue, IResponseHeader } from './kv-messages.js'

/** Fields whose name on the wire has underscores; the other ones have the same name everywhere. */
const wireNames: Readonly<Record<string, string>> = {
  prevKv: 'prev_kv',
  prevKvs: 'prev_kvs',
  responseRange: 'response_range',
  responsePut: 'response_put',
  responseDeleteRange: 'response_delete_range',
  responseTxn: 'response_txn',
  watchId: 'watch_id',
  compactRevision: 'compact_revision',
  hashRevision: 'hash_revision',
  cancelReason: 'cancel_reason',
  remainingBytes: 'remaining_bytes',
  rangeEnd: 'range_end',
}

const enumFields = new Set(['type', 'permType', 'alarm'])
const memberIdFields = new Set(['memberID', 'leader'])

/**
 * A response of the engine as etcd3 has it: names of the wire, integers and IDs as decimal text, enums by their names in
 * etcd3, and `null` for a message that was not sent.
 */
export function toResponse(service: string, response: object): object {
  const fields: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(response)) {
    const wireName = wireNames[name] ?? name
    const isOp = wireName.startsWith('response_')
    if (isOp && value === undefined) continue
    fields[wireName] = toField(service, name, value)
    // etcd3 names the operation that was performed.
    if (isOp) fields.response = wireName
  }
  return fields
}

function toField(service: string, name: string, value: unknown): unknown {
  if (name === 'header') return value === undefined ? null : toHeader(value as ResponseHeader)
  if (name === 'ID') return fromHexId(value, service === 'Lease')
  if (memberIdFields.has(name)) return fromHexId(value, false)
  if (Array.isArray(value)) return value.map((item) => toField(service, '', item))
  if (value instanceof KeyValue) return toKeyValue(value)
  if (Buffer.isBuffer(value)) return value
  if (typeof value === 'number') return String(value)
  if (typeof value === 'object' && value !== null) return toResponse(service, value)
  if (typeof value === 'string' && enumFields.has(name)) return capitalized(value)
  return value ?? null
}

export function toHeader(header: ResponseHeader | undefined): IResponseHeader {
  return {
    cluster_id: fromHexId(header?.clusterId, false),
    member_id: fromHexId(header?.memberId, false),
    revision: String(header?.revision ?? 0),
    raft_term: String(header?.raftTerm ?? 0),
  }
}

export function toKeyValue({ key, createRevision, modRevision, version, value, lease }: KeyValue): IKeyValue {
  return {
    key,
    create_revision: String(createRevision),
    mod_revision: String(modRevision),
    version: String(version),
    value,
    lease: fromHexId(lease, true),
  }
}

/** Decimal digits of a 64-bit ID. Lease IDs are signed; `0` is no ID. */
export function fromHexId(id: unknown, isSigned: boolean): string {
  if (typeof id !== 'string') return '0'
  const bits = BigInt(`0x${id}`)
  return (isSigned ? BigInt.asIntN(64, bits) : bits).toString()
}

/** `READWRITE` as `Readwrite`. */
function capitalized(name: string): string {
  return name.slice(0, 1) + name.slice(1).toLowerCase()
}
