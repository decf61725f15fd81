import { debuglog } from 'node:util'
import { messageOf } from '../core/thrown.js'
import { channels } from './channels.js'
import type {
  AttemptRecord,
  AuthenticateRecord,
  CallOutcome,
  CallRecord,
  ClientIdentity,
  ClusterRecord,
  ConnectRecord,
  InformerRecord,
  LeaseRecord,
  LockRecord,
  WatchRecord,
} from './records.js'

let hasStarted = false

/** Prints what happens on standard error, a line for each, where the environment has `NODE_DEBUG=etcdkit`. */
export function startDebugLog(): void {
  const log = debuglog('etcdkit')
  if (hasStarted || !log.enabled) return
  hasStarted = true
  const print = <Each extends { readonly client: ClientIdentity }>(text: (record: Each) => string | undefined) => {
    return (message: unknown): void => {
      // Each channel has messages of one kind.
      const record = message as Each
      const line = text(record)
      if (line !== undefined) log('%s: %s', record.client.name, line)
    }
  }
  channels.connect.subscribe(print(connectLine))
  channels.cluster.subscribe(print(clusterLine))
  channels.authenticate.subscribe(print(authenticateLine))
  channels.attempt.subscribe(print(attemptLine))
  channels.watch.subscribe(print(watchLine))
  channels.lease.subscribe(print(leaseLine))
  channels.lock.subscribe(print(lockLine))
  channels.informer.subscribe(print(informerLine))
  channels.slow.subscribe(print(slowLine))
}

function connectLine({ endpoint, previous, state, reason, previousMs }: ConnectRecord): string {
  return `connection to ${endpoint}: ${state}${because(reason)} after ${ms(previousMs)} ${previous}`
}

function clusterLine({ expected, actual, agreed, unreachable }: ClusterRecord): string {
  const others = unreachable.length === 0 ? '' : `; not reachable: ${unreachable.join(', ')}`
  return `continues with cluster ${actual} instead of ${expected}, as reported by ${agreed.join(', ')}${others}`
}

function authenticateLine({ username, endpoint, reason, durationMs, outcome }: AuthenticateRecord): string {
  const who = username === undefined ? 'token' : `token for ${username}`
  return `${who} (${reason}) from ${endpoint ?? 'no member'}: ${resultOf(outcome)} after ${ms(durationMs)}`
}

/** Successful attempts are not logged. */
function attemptLine({ method, callId, attempt, endpoint, durationMs, outcome }: AttemptRecord): string | undefined {
  if (outcome.ok) return undefined
  const call = callId === undefined ? method : `${method} #${callId}`
  return `${call}, attempt ${attempt} on ${endpoint ?? 'no member'}: ${resultOf(outcome)} after ${ms(durationMs)}`
}

function watchLine(record: WatchRecord): string {
  switch (record.type) {
    case 'opened':
      return `watch of ${rangeText(record)} opened`
    case 'lost':
      return `${record.watches} watches lost the connection to ${record.endpoint ?? 'their member'}${because(record.error)}`
    case 'resumed':
      return `${record.watches} watches resumed on ${record.endpoint} after ${ms(record.downMs)}`
    case 'ended':
      return `watch of ${rangeText(record)} ended${because(record.error)}`
  }
}

/** Renewals are not logged. */
function leaseLine(record: LeaseRecord): string | undefined {
  switch (record.type) {
    case 'renewed':
      return undefined
    case 'lost':
      return `lease ${record.leaseId} lost: ${record.reason}${because(record.error)}`
    case 'keepAliveLost':
      return `${record.leases} leases are not renewed: lost the connection to ${record.endpoint ?? 'their member'}${because(record.error)}`
    case 'keepAliveResumed':
      return `${record.leases} leases are renewed again on ${record.endpoint} after ${ms(record.downMs)}`
  }
}

const lockKinds: Readonly<Record<LockRecord['kind'], string>> = {
  lock: 'lock',
  election: 'election',
  read: 'read lock',
  write: 'write lock',
  semaphore: 'permit',
}

function lockLine(record: LockRecord): string {
  const kind = lockKinds[record.kind]
  const name = record.name === undefined ? kind : `${kind} ${JSON.stringify(record.name)}`
  switch (record.type) {
    case 'granted':
      return `${name} granted after ${ms(record.durationMs)}, fence ${record.fence}`
    case 'refused':
      return `${name} refused after ${ms(record.durationMs)}: ${resultOf(record.outcome)}`
    case 'released':
      return `${name} released after ${ms(record.heldMs)}`
    case 'lost':
      return `${name} lost after ${ms(record.heldMs)}${because(record.error)}`
  }
}

function informerLine(record: InformerRecord): string {
  const name = `informer of ${rangeText(record)}`
  switch (record.type) {
    case 'ready':
      return `${name} has ${record.size} keys at revision ${record.revision}`
    case 'resync':
      return `${name} listed its range again, from revision ${record.fromRevision} to ${record.toRevision}: ${record.reason}`
    case 'error':
      return `${name} ${record.terminal ? 'ended' : 'continues after an error'}${because(record.error)}`
  }
}

function slowLine(record: CallRecord): string {
  const { method, callId, durationMs, queueMs, authMs, connectMs, backoffMs, wireMs, request } = record
  const { range, operations } = request
  const what = range === undefined ? '' : ` of ${rangeText({ range, keyText: request.keyText })}`
  const size = `${operations > 1 ? `${operations} operations, ` : ''}${record.requestBytes} B sent`
  const answer = `${record.responseKeys} keys, ${record.responseBytes} B received`
  const times = `queue ${ms(queueMs)}, auth ${ms(authMs)}, connect ${ms(connectMs)}, backoff ${ms(backoffMs)}, wire ${ms(wireMs)}`
  const place = `${record.endpoint ?? 'no member'}${record.role === undefined ? '' : ` (${record.role})`}`
  const mode = record.mode === undefined ? '' : `, ${record.mode}`
  const attempts = record.attemptRecords.map(attemptText).join(', ')
  return `slow call ${method} #${callId}${what}${mode}: ${resultOf(record.outcome)} from ${place} after ${ms(durationMs)} (${times}; ${size}, ${answer}; attempts: ${attempts || 'none'})`
}

function attemptText({ reason, endpoint, batch }: AttemptRecord): string {
  const others = batch === undefined ? '' : `, one of ${batch.calls} calls`
  return `${reason} → ${endpoint ?? 'no member'}${others}`
}

function rangeText({ range, keyText }: { readonly range: string; readonly keyText: string | undefined }): string {
  if (range === 'all') return 'all keys'
  return keyText === undefined ? `a ${range}` : `${range} ${JSON.stringify(keyText)}`
}

function resultOf(outcome: CallOutcome): string {
  if (outcome.ok) return 'ok'
  return outcome.aborted ? 'aborted' : outcome.error.message
}

function because(reason: unknown): string {
  if (reason === undefined) return ''
  return `, ${messageOf(reason)}`
}

function ms(duration: number): string {
  return `${duration < 10 ? duration.toFixed(1) : duration.toFixed()} ms`
}
