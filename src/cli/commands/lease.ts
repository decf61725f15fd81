import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { hexId } from '../../core/validate.js'
import { isEtcdError } from '../../index.js'
import { methods } from '../../protobuf/methods.js'
import { type Context, defineCommand } from '../command.js'
import { CommandFailed } from '../failure.js'
import { ttlFlagSeconds } from '../units.js'
import { unary } from '../wire/calls.js'
import type { Json } from '../wire/json-text.js'
import { print } from '../wire/print.js'
import { defineRpc } from '../wire/rpc-command.js'

/** An ID in the 16 digits in which etcdctl prints leases. */
function leaseText(id: string | undefined): string {
  return (id ?? '0').padStart(16, '0')
}

/** etcdctl's JSON of leases has the fields of the header at the top. */
function withHeader(
  { header = {} }: { readonly [name: string]: Json },
  fields: { readonly [name: string]: Json },
): Json {
  return { ...(header as { readonly [name: string]: Json }), ...fields }
}

/** Grants a lease. */
export const leaseGrantCommand = defineRpc({
  name: 'lease grant',
  usage: 'TTL',
  summary: 'grant a lease with a time to live in seconds',
  flags: {},
  arity: [1, 1],
  method: methods.Lease.LeaseGrant,
  // With a chosen ID, a repeated call cannot grant a second lease.
  request: ({ args: [ttl = ''] }) => ({ TTL: ttlFlagSeconds('TTL', ttl), ID: randomId() }),
  text: ({ ID, TTL }) => `lease ${leaseText(ID)} granted with TTL(${TTL}s)`,
  forms: () => ({
    json: (message) => withHeader(message, { ID: message.ID ?? 0, TTL: message.TTL ?? 0, Error: message.error ?? '' }),
  }),
})

/** A positive number of 63 bits. */
function randomId(): string {
  const bytes = randomBytes(8)
  bytes.writeUInt8(bytes.readUInt8(0) & 0x7f, 0)
  return bytes.toString('hex')
}

/** Revokes a lease. */
export const leaseRevokeCommand = defineRpc({
  name: 'lease revoke',
  usage: 'ID',
  summary: 'revoke a lease and delete its keys',
  flags: {},
  arity: [1, 1],
  method: methods.Lease.LeaseRevoke,
  request: ({ args: [id = ''] }) => ({ ID: hexId('ID', id) }),
  text: (_, { args: [id] }) => `lease ${leaseText(id)} revoked`,
})

/** Shows the state of a lease. */
export const leaseTimeToLiveCommand = defineRpc({
  name: 'lease timetolive',
  usage: 'ID',
  summary: 'show the granted and the remaining time of a lease',
  flags: { keys: { type: 'boolean', help: 'also the keys that are attached to the lease' } },
  arity: [1, 1],
  method: methods.Lease.LeaseTimeToLive,
  request: ({ flags, args: [id = ''] }) => ({ ID: hexId('ID', id), keys: flags.keys }),
  text({ ID, TTL, grantedTTL, keys }, { flags }) {
    if (TTL < 0) return `lease ${leaseText(ID)} already expired`
    const attached = flags.keys === true ? `, attached keys([${keys.map(String).join(' ')}])` : ''
    return `lease ${leaseText(ID)} granted with TTL(${grantedTTL}s), remaining(${TTL}s)${attached}`
  },
  forms: ({ TTL, grantedTTL }) => ({
    json: (message) =>
      withHeader(message, { id: message.ID ?? 0, ttl: TTL, 'granted-ttl': grantedTTL, keys: message.keys ?? null }),
  }),
})

/** Lists the leases. */
export const leaseListCommand = defineRpc({
  name: 'lease list',
  usage: '',
  summary: 'list the IDs of all leases',
  flags: {},
  arity: [0, 0],
  method: methods.Lease.LeaseLeases,
  request: () => ({}),
  text: ({ leases }) => [`found ${leases.length} leases`, ...leases.map(({ ID }) => leaseText(ID))].join('\n'),
  forms: ({ leases }) => ({
    json: (message) =>
      withHeader(message, {
        leases: (Array.isArray(message.leases) ? message.leases : []).map(({ ID }: { ID: Json }) => ({ id: ID })),
      }),
    readable: { leases: leases.map(({ ID }) => ID) },
  }),
})

/** Renews a lease. */
export const leaseKeepAliveCommand = defineCommand({
  name: 'lease keep-alive',
  usage: 'ID',
  summary: 'renew a lease until interrupted',
  details: ['Fails when the lease has expired or was revoked.'],
  flags: { once: { type: 'boolean', help: 'renew it once and exit' } },
  operands: { id: 'ID' },
  arity: [1, 1],
  async run(context, { flags, args: [id = ''] }) {
    const etcd = context.client()
    for (;;) {
      const ttlSeconds = await renew(context, etcd, hexId('ID', id))
      if (flags.once === true) return 0
      await sleep((ttlSeconds * 1000) / 3, undefined, { signal: context.signal })
    }
  },
})

async function renew({ output, signal }: Context, etcd: ReturnType<Context['client']>, id: string): Promise<number> {
  try {
    const TTL = await etcd.lease.keepAliveOnce(id, { signal })
    const isDocument = output.format === 'json' || output.format === 'fields'
    // The header of the renewal is not part of its result.
    const { header } = isDocument
      ? await unary(etcd, methods.Lease.LeaseTimeToLive, { ID: id }, { signal })
      : { header: undefined }
    await print(output, {
      type: 'LeaseKeepAliveResponse',
      message: { header, ID: id, TTL },
      text: `lease ${leaseText(id)} keepalived with TTL(${TTL})`,
      json: (message) => withHeader(message, { ID: message.ID ?? 0, TTL }),
    })
    return TTL
  } catch (error) {
    if (!isEtcdError(error, 'LEASE_NOT_FOUND')) throw error
    throw new CommandFailed(`lease ${leaseText(id)} expired or revoked`, { cause: error })
  }
}
