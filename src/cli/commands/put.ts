import type { PutOptions } from '../../index.js'
import { type Context, defineCommand, type Flags, type FlagValues } from '../command.js'
import { keyValueJson } from '../key-value-format.js'
import { ttlFlagSeconds } from '../units.js'
import { UsageError } from '../usage-error.js'

const flags = {
  ttl: { type: 'string', value: 'DURATION', help: 'delete the key after this time' },
  lease: { type: 'string', value: 'ID', help: 'attach the key to a lease' },
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
  details: ['Without VALUE, reads the value from standard input, byte for byte.'],
  flags,
  arity: [1, 2],
  async run(context, { flags, args: [key = '', value] }) {
    const { output, client, signal } = context
    const options = { ...lifetimeOf(flags), prevKv: flags['prev-kv'], signal }
    const result =
      flags['ignore-value'] === true
        ? await client().touch(key, touchOptions(value, options))
        : await client().put(key, value ?? (await standardInput(context)), options)
    const { revision, prevKv } = result
    if (output.format === 'json') await output.json({ revision, prevKv: prevKv && keyValueJson(prevKv) })
    else await output.line('OK')
    if (output.format !== 'json' && prevKv !== undefined) {
      await output.write(Buffer.concat([prevKv.key, newline, prevKv.value, newline]))
    }
    return 0
  },
})

const newline = Buffer.from('\n')

function lifetimeOf({ ttl, lease, 'ignore-lease': ignoreLease }: PutFlags): PutOptions {
  const ways = [ttl, lease, ignoreLease].filter((way) => way !== undefined).length
  if (ways > 1) throw new UsageError('--ttl, --lease and --ignore-lease are mutually exclusive')
  if (ttl !== undefined) return { ttlSeconds: ttlFlagSeconds('ttl', ttl) }
  return ignoreLease === true ? { ignoreLease } : { lease }
}

function touchOptions(value: string | undefined, options: PutOptions) {
  if (value !== undefined) throw new UsageError('VALUE and --ignore-value are mutually exclusive')
  const { ttlSeconds, ...rest } = options
  if (ttlSeconds === undefined) return rest
  throw new UsageError('--ttl and --ignore-value are mutually exclusive')
}

async function standardInput({ stdin, signal }: Context): Promise<Buffer> {
  if (stdin.isTTY === true) throw new UsageError('put needs a VALUE, as an argument or on standard input')
  const stop = (): void => void stdin.destroy(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    const pieces: Buffer[] = []
    for await (const piece of stdin) pieces.push(Buffer.from(piece))
    return Buffer.concat(pieces)
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
