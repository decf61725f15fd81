import { hexId } from '../../core/validate.js'
import type { Member } from '../../protobuf/generated/messages.js'
import { methods } from '../../protobuf/methods.js'
import { consistencyFlags, readModeOf } from '../key-range-flags.js'
import { UsageError } from '../usage-error.js'
import { defineRpc } from '../wire/rpc-command.js'

const peerUrls = {
  'peer-urls': { type: 'string', value: 'URLS', option: 'peerUrls', help: 'comma-separated peer URLs of the member' },
} as const

function peerUrlsOf(text: string | undefined): string[] {
  if (text === undefined || text === '')
    throw new UsageError('--peer-urls is missing: give the peer URLs of the member')
  return text.split(',')
}

function idText(id: string | undefined): string {
  return id ?? '0'
}

/** Adds a member. */
export const memberAddCommand = defineRpc({
  name: 'member add',
  usage: 'NAME',
  summary: 'add a member, and print the environment to start it with',
  details: [
    'A voting member counts towards the quorum at once, before it runs: prefer --learner, and promote it when it has',
    'caught up.',
  ],
  flags: {
    ...peerUrls,
    learner: { type: 'boolean', help: 'add it as a learner: it replicates the log without a vote' },
  },
  arity: [1, 1],
  method: methods.Cluster.MemberAdd,
  request: ({ flags }) => ({ peerURLs: peerUrlsOf(flags['peer-urls']), isLearner: flags.learner }),
  text({ header, member, members }, { args: [name = ''], flags }) {
    const urls = flags['peer-urls'] ?? ''
    const peers = members.flatMap(({ ID, name: old, peerURLs }) =>
      peerURLs.map((url) => `${ID === member?.ID ? name : old}=${url}`),
    )
    const kind = flags.learner === true ? ' as learner' : ''
    return [
      `Member ${idText(member?.ID).padStart(16, ' ')} added${kind} to cluster ${idText(header?.clusterId).padStart(16, ' ')}`,
      '',
      `ETCD_NAME="${name}"`,
      `ETCD_INITIAL_CLUSTER="${peers.join(',')}"`,
      `ETCD_INITIAL_ADVERTISE_PEER_URLS="${urls}"`,
      'ETCD_INITIAL_CLUSTER_STATE="existing"',
    ].join('\n')
  },
})

/** Promotes a learner. */
export const memberPromoteCommand = defineRpc({
  name: 'member promote',
  usage: 'ID',
  summary: 'promote a learner that has caught up to a voting member',
  flags: {},
  arity: [1, 1],
  method: methods.Cluster.MemberPromote,
  request: ({ args: [id = ''] }) => ({ ID: hexId('ID', id) }),
  text: ({ header }, { args: [id] }) =>
    `Member ${id?.padStart(16)} promoted in cluster ${idText(header?.clusterId).padStart(16)}`,
})

/** Removes a member. */
export const memberRemoveCommand = defineRpc({
  name: 'member remove',
  usage: 'ID',
  summary: 'remove a member, which then shuts down',
  flags: {},
  arity: [1, 1],
  method: methods.Cluster.MemberRemove,
  request: ({ args: [id = ''] }) => ({ ID: hexId('ID', id) }),
  text: ({ header }, { args: [id] }) =>
    `Member ${id?.padStart(16)} removed from cluster ${idText(header?.clusterId).padStart(16)}`,
})

/** Changes the peer URLs of a member. */
export const memberUpdateCommand = defineRpc({
  name: 'member update',
  usage: 'ID',
  summary: 'change the peer URLs of a member',
  flags: peerUrls,
  arity: [1, 1],
  method: methods.Cluster.MemberUpdate,
  request: ({ flags, args: [id = ''] }) => ({ ID: hexId('ID', id), peerURLs: peerUrlsOf(flags['peer-urls']) }),
  text: ({ header }, { args: [id] }) =>
    `Member ${id?.padStart(16)} updated in cluster ${idText(header?.clusterId).padStart(16)}`,
})

/** Lists the members. */
export const memberListCommand = defineRpc({
  name: 'member list',
  usage: '',
  summary: 'list the members',
  flags: consistencyFlags,
  arity: [0, 0],
  method: methods.Cluster.MemberList,
  request: ({ flags }) => ({ linearizable: readModeOf(flags) === 'linearizable' }),
  target: ({ flags }) => ({ isSerializable: readModeOf(flags) === 'serializable' }),
  text: ({ members }) => members.map((member) => rowOf(member).join(', ')).join('\n'),
  forms: ({ members }) => ({
    table: { titles: ['ID', 'STATUS', 'NAME', 'PEER ADDRS', 'CLIENT ADDRS', 'IS LEARNER'], rows: members.map(rowOf) },
  }),
})

function rowOf({ ID, name, peerURLs, clientURLs, isLearner }: Member): string[] {
  const status = name === '' ? 'unstarted' : 'started'
  return [idText(ID), status, name, peerURLs.join(','), clientURLs.join(','), String(isLearner)]
}
