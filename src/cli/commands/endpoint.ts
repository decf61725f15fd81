import { isEtcdError } from '../../index.js'
import type { HashKVResponse, ResponseHeader, StatusResponse } from '../../protobuf/generated/messages.js'
import { methods } from '../../protobuf/methods.js'
import { type Context, defineCommand } from '../command.js'
import { foundProblems } from '../failure.js'
import { integerFlag } from '../units.js'
import { goBytes, goDuration } from '../wire/go-text.js'
import { jsonText } from '../wire/json-text.js'
import {
  type Answer,
  callEach,
  callEndpoint,
  clusterFlag,
  type EndpointCall,
  endpointsOf,
} from '../wire/member-endpoints.js'
import { fieldLines } from '../wire/message-fields.js'
import { etcdctlJson, idNumber, readableJson } from '../wire/message-json.js'
import { printTable } from '../wire/print.js'

/** Shows the status of each endpoint. */
export const endpointStatusCommand = defineCommand({
  name: 'endpoint status',
  usage: '',
  summary: 'show the status of each endpoint',
  details: ['Exit status: 3 if an endpoint does not answer.'],
  flags: clusterFlag,
  arity: [0, 0],
  async run(context, { flags }) {
    const answers = await callEach(context, await endpointsOf(context, flags), methods.Maintenance.Status, {})
    return printAnswers(context, answers, {
      what: 'status',
      type: 'StatusResponse',
      jsonName: 'Status',
      titles: statusTitles,
      fields: statusFields,
      row: statusRow,
    })
  },
})

/** Shows the hash of the keys of each endpoint. */
export const endpointHashKvCommand = defineCommand({
  name: 'endpoint hashkv',
  usage: '',
  summary: 'show the hash of the keys of each endpoint',
  details: [
    'Members with the same keys have the same hash at the same revision. Exit status: 3 if an endpoint does not answer.',
  ],
  flags: {
    ...clusterFlag,
    rev: {
      type: 'string',
      value: 'REVISION',
      option: 'revision',
      help: 'hash the keys up to this revision (the current one)',
    },
  },
  arity: [0, 0],
  async run(context, { flags }) {
    const revision = flags.rev === undefined ? 0 : integerFlag('rev', flags.rev, 0)
    const endpoints = await endpointsOf(context, flags)
    const answers = await callEach(context, endpoints, methods.Maintenance.HashKV, { revision })
    return printAnswers(context, answers, {
      what: 'hash',
      type: 'HashKVResponse',
      jsonName: 'HashKV',
      titles: ['ENDPOINT', 'HASH', 'HASH REVISION'],
      fields: (Endpoint, { hash, hashRevision }) => ({ Endpoint, Hash: hash, HashRevision: hashRevision }),
      row: hashRow,
    })
  },
})

function hashRow(endpoint: string, { hash, hashRevision }: HashKVResponse): string[] {
  // Before 3.6, members do not report which revision they hashed.
  return [endpoint, String(hash), ...(hashRevision === 0 ? [] : [String(hashRevision)])]
}

const statusTitles = [
  'ENDPOINT',
  'ID',
  'VERSION',
  'STORAGE VERSION',
  'DB SIZE',
  'IN USE',
  'PERCENTAGE NOT IN USE',
  'QUOTA',
  'IS LEADER',
  'IS LEARNER',
  'RAFT TERM',
  'RAFT INDEX',
  'RAFT APPLIED INDEX',
  'ERRORS',
  'DOWNGRADE TARGET VERSION',
  'DOWNGRADE ENABLED',
] as const

function statusRow(endpoint: string, status: StatusResponse): string[] {
  const { header, version, storageVersion, dbSize, dbSizeInUse, dbSizeQuota, leader, downgradeInfo } = status
  const unused = dbSize === 0 ? 0 : 100 - Math.trunc((dbSizeInUse * 100) / dbSize)
  return [
    endpoint,
    header?.memberId ?? '0',
    version,
    storageVersion,
    goBytes(dbSize),
    goBytes(dbSizeInUse),
    `${unused}%`,
    goBytes(dbSizeQuota),
    String(leader !== undefined && leader === header?.memberId),
    String(status.isLearner),
    ...[status.raftTerm, status.raftIndex, status.raftAppliedIndex].map(String),
    status.errors.join(', '),
    downgradeInfo?.targetVersion ?? '',
    String(downgradeInfo?.enabled ?? false),
  ]
}

function statusFields(endpoint: string, status: StatusResponse): Record<string, unknown> {
  return {
    Version: status.version,
    StorageVersion: status.storageVersion,
    DBSize: status.dbSize,
    DBSizeInUse: status.dbSizeInUse,
    DBSizeQuota: status.dbSizeQuota,
    Leader: idNumber(status.leader),
    IsLearner: status.isLearner,
    RaftIndex: status.raftIndex,
    RaftTerm: status.raftTerm,
    RaftAppliedIndex: status.raftAppliedIndex,
    Errors: status.errors,
    Endpoint: endpoint,
    DowngradeTargetVersion: status.downgradeInfo?.targetVersion ?? '',
    DowngradeEnabled: status.downgradeInfo?.enabled ?? false,
  }
}

function answerLines(
  { header }: { readonly header: ResponseHeader | undefined },
  { hex }: Context['output'],
  fields: Readonly<Record<string, unknown>>,
): string[] {
  const lines = Object.entries(fields).map(([name, value]) => `"${name}" : ${fieldText(value)}`)
  return [...fieldLines(header ?? {}, 'ResponseHeader', { hex }), ...lines]
}

function fieldText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.join(' ')}]`
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

interface AnswerForm<Response> {
  /** What was asked for, for the message about an endpoint that does not answer. */
  readonly what: string
  readonly type: string
  readonly jsonName: string
  readonly titles: readonly string[]
  /** The fields after the header. */
  readonly fields: (endpoint: string, response: Response) => Readonly<Record<string, unknown>>
  readonly row: (endpoint: string, response: Response) => string[]
}

async function printAnswers<Response extends { readonly header: ResponseHeader | undefined }>(
  { output, notes }: Context,
  answers: readonly Answer<Response>[],
  { what, type, jsonName, titles, fields, row }: AnswerForm<Response>,
): Promise<number> {
  const given = answers.flatMap((answer) => ('response' in answer ? [answer] : []))
  for (const answer of answers) {
    if ('error' in answer) notes.line(`Failed to get the ${what} of endpoint ${answer.endpoint} (${answer.error})`)
  }
  if (output.format === 'json' && output.isEtcdctl) {
    const list = given.map(({ endpoint, response }) => ({
      Endpoint: endpoint,
      [jsonName]: etcdctlJson(response, type, output.hex),
    }))
    await output.line(jsonText(list))
  } else if (output.format === 'json') {
    for (const { endpoint, response } of given) await output.json({ endpoint, ...readableJson(response, type) })
  } else if (output.format === 'fields') {
    for (const { endpoint, response } of given) {
      await output.line([...answerLines(response, output, fields(endpoint, response)), ''].join('\n'))
    }
  } else {
    const rows = given.map(({ endpoint, response }) => row(endpoint, response))
    if (output.format === 'table') await printTable(output, { titles, rows })
    else for (const cells of rows) await output.line(cells.join(', '))
  }
  return given.length === answers.length ? 0 : foundProblems
}

/** Checks each endpoint. */
export const endpointHealthCommand = defineCommand({
  name: 'endpoint health',
  usage: '',
  summary: 'check whether each endpoint serves linearizable reads without alarms',
  details: ['Exit status: 3 if an endpoint is unhealthy.'],
  flags: clusterFlag,
  arity: [0, 0],
  async run(context, { flags }) {
    const endpoints = await endpointsOf(context, flags)
    const answers = await Promise.all(endpoints.map((endpoint) => callEndpoint(context, endpoint, checkHealth)))
    await printHealth(context, answers.map(healthOf))
    return answers.every((answer) => healthOf(answer).health) ? 0 : foundProblems
  },
})

interface EndpointHealth {
  readonly endpoint: string
  readonly health: boolean
  readonly took: string
  readonly error?: string
}

function healthOf(answer: Answer<string | undefined>): EndpointHealth {
  const { endpoint, tookMs } = answer
  const error = 'error' in answer ? answer.error : answer.response
  const took = goDuration(tookMs)
  return error === undefined ? { endpoint, health: true, took } : { endpoint, health: false, took, error }
}

/** Resolves to the raised alarms, if any. */
async function checkHealth(call: EndpointCall): Promise<string | undefined> {
  try {
    await call(methods.KV.Range, { key: Buffer.from('health') })
  } catch (error) {
    // The member had to agree with the others before it could reject the user.
    if (!isEtcdError(error, 'PERMISSION_DENIED')) throw error
  }
  const { alarms } = await call(methods.Maintenance.Alarm, { action: 'GET' })
  const raised = alarms.map(({ alarm }) => alarm).filter((alarm) => alarm !== 'NONE')
  return raised.length === 0 ? undefined : `Active Alarm(s): ${raised.join(', ')}`
}

async function printHealth({ output, notes }: Context, all: readonly EndpointHealth[]): Promise<void> {
  if (output.format === 'json' && output.isEtcdctl) return output.json(all)
  if (output.format === 'table') {
    const rows = all.map(({ endpoint, health, took, error }) => [endpoint, String(health), took, error ?? ''])
    return printTable(output, { titles: ['ENDPOINT', 'HEALTH', 'TOOK', 'ERROR'], rows })
  }
  for (const one of all) {
    const { endpoint, health, took, error = '' } = one
    if (output.format === 'json') await output.json(one)
    else if (output.format === 'fields') {
      const fields = { Endpoint: JSON.stringify(endpoint), Health: String(health), Took: took, Error: error }
      const lines = Object.entries(fields).map(([name, value]) => `"${name}" : ${value}`)
      await output.line([...lines, ''].join('\n'))
    } else if (health) await output.line(`${endpoint} is healthy: successfully committed proposal: took = ${took}`)
    else notes.line(`${endpoint} is unhealthy: failed to commit proposal: ${error}`)
  }
}
