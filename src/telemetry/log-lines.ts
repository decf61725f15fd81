import type { Channel } from 'node:diagnostics_channel'
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

/** The levels of a log, as pino and `console` have them. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** One message of a log. */
export interface LogEntry {
  readonly level: LogLevel
  readonly text: string
  readonly record: { readonly client: ClientIdentity }
}

/** How the records of one channel are logged. */
export interface LogLine {
  readonly channel: Channel
  /** The highest level of its messages. */
  readonly highest: LogLevel
  /** `undefined` for records that are not logged. */
  entry(record: unknown): LogEntry | undefined
}

/** What is logged of a client. */
export const logLines: readonly LogLine[] = [
  line(channels.connect, 'warn', connectLine, connectLevel),
  line(channels.cluster, 'warn', clusterLine, () => 'warn'),
  line(channels.authenticate, 'warn', authenticateLine, ({ outcome }) => (outcome.ok ? 'debug' : 'warn')),
  line(channels.attempt, 'debug', attemptLine, () => 'debug'),
  line(channels.watch, 'warn', watchLine, watchLevel),
  line(channels.lease, 'error', leaseLine, leaseLevel),
  line(channels.lock, 'error', lockLine, ({ type }) => (type === 'lost' ? 'error' : 'debug')),
  line(channels.informer, 'error', informerLine, informerLevel),
  line(channels.slow, 'warn', slowLine, () => 'warn'),
]

function line<Each extends { readonly client: ClientIdentity }>(
  channel: Channel,
  highest: LogLevel,
  textOf: (record: Each) => string | undefined,
  levelOf: (record: Each) => LogLevel,
): LogLine {
  return {
    channel,
    highest,
    entry(message) {
      // Each channel has messages of one kind.
      const record = message as Each
      const text = textOf(record)
      return text === undefined ? undefined : { level: levelOf(record), text, record }
    },
  }
}

function connectLevel({ previous, state }: ConnectRecord): LogLevel {
  if (state === 'ready') return 'info'
  return state === 'ejected' || (previous === 'ready' && state !== 'closed') ? 'warn' : 'debug'
}

function watchLevel({ type }: WatchRecord): LogLevel {
  if (type === 'lost') return 'warn'
  return type === 'resumed' ? 'info' : 'debug'
}

/** A lease that the client gives up itself is no incident. */
function leaseLevel(record: LeaseRecord): LogLevel {
  if (record.type === 'lost') return record.reason === 'closed' ? 'debug' : 'error'
  return record.type === 'keepAliveLost' ? 'warn' : 'info'
}

function informerLevel(record: InformerRecord): LogLevel {
  if (record.type === 'ready') return 'info'
  return record.type === 'error' && record.terminal ? 'error' : 'warn'
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
