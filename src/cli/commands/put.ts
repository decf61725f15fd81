import { put } from '../../index.js'
import type { PutRequest } from '../../protobuf/generated/messages.js'
import { methods } from '../../protobuf/methods.js'
import { type Context, defineCommand, type Flags, type FlagValues } from '../command.js'
import { keyValueLines } from '../key-value-format.js'
import { standardInput } from '../standard-input.js'
import { ttlFlagSeconds } from '../units.js'
import { UsageError } from '../usage-error.js'
import { unary } from '../wire/calls.js'
import { print } from '../wire/print.js'

const flags = {
  ttl: { type: 'string', value: 'DURATION', option: 'ttlSeconds', help: 'delete the key after this time' },
  lease: { type: 'string', value: 'ID', option: 'lease', help: 'attach the key to a lease' },
  'ignore-lease': { type: 'boolean', help: 'keep the current lease of the key' },
  'ignore-value': { type: 'boolean', help: 'keep the current value of the key' },
  'prev-kv': { type: 'boolean', help: 'print the previous key and value' },
} as const satisfies Flags

type PutFlags = FlagValues<typeof flags>

/** Writes a key. */
export const putCommand = defineCommand({
  name: 'put',
  usage: 'KEY [VALUE]',
  summary: 'write a key, with a value from the command line or standard input',
  details: ['Without VALUE, reads the value from standard input, byte for byte; it must not be empty.'],
  flags,
  operands: { key: 'KEY' },
  arity: [1, 2],
  async run(context, { flags, args: [key = '', value] }) {
    const { output, client, signal } = context
    checkLifetime(flags)
    const needsInput = value === undefined && flags['ignore-value'] !== true
    const request = putRequestOf([key, needsInput ? await valueFrom(context) : value], flags)
    const etcd = client()
    const { ttl } = flags
    const lease = ttl === undefined ? undefined : (await etcd.lease.grant(ttlFlagSeconds('ttl', ttl), unrenewed)).id
    const message = await unary(etcd, methods.KV.Put, lease === undefined ? request : { ...request, lease }, { signal })
    const { prevKv } = message
    const text = Buffer.concat([Buffer.from('OK\n'), keyValueLines(prevKv === undefined ? [] : [prevKv], output)])
    await print(output, { type: 'PutResponse', message, text })
    return 0
  },
})

const unrenewed = { keepAlive: false } as const

/** The request for a command line without `--ttl`; the command of transactions makes it, too. */
export function putRequestOf(
  [key = '', value]: readonly [key?: string | undefined, value?: string | Buffer | undefined],
  flags: PutFlags,
): PutRequest {
  const { 'ignore-lease': ignoreLease, 'ignore-value': ignoreValue, 'prev-kv': prevKv, lease } = flags
  if (ignoreValue === true && value !== undefined)
    throw new UsageError('VALUE and --ignore-value are mutually exclusive')
  const options = ignoreLease === true ? { ignoreLease, prevKv } : { lease, prevKv }
  return { ...put(key, value ?? '', options).request.requestPut, ignoreValue }
}

function checkLifetime({ ttl, lease, 'ignore-lease': ignoreLease, 'ignore-value': ignoreValue }: PutFlags): void {
  const ways = [ttl, lease, ignoreLease].filter((way) => way !== undefined).length
  if (ways > 1) throw new UsageError('--ttl, --lease and --ignore-lease are mutually exclusive')
  if (ttl === undefined) return
  if (ignoreValue === true) throw new UsageError('--ttl and --ignore-value are mutually exclusive')
  ttlFlagSeconds('ttl', ttl)
}

async function valueFrom({ stdin, signal }: Context): Promise<Buffer> {
  if (stdin.isTTY === true) throw new UsageError('put needs a VALUE, as an argument or on standard input')
  const value = await standardInput(stdin, signal)
  // A program before the pipe that failed would otherwise empty the key.
  if (value.length === 0) throw new UsageError("standard input is empty: write '' as VALUE for an empty value")
  return value
}
