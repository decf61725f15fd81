import { optionsFromEnvironment } from '../../client/environment.js'
import { type ClientOptions, type Etcd, InvalidArgumentError, type Mirror } from '../../index.js'
import { type Context, defineCommand, type Flags, type FlagValues } from '../command.js'
import { messageOf } from '../failure.js'
import { integerFlag } from '../units.js'
import { UsageError } from '../usage-error.js'
import { untilAborted } from './lock.js'

const flags = {
  prefix: { type: 'string', value: 'PREFIX', option: 'prefix', help: 'mirror the keys with this prefix (all keys)' },
  'dest-prefix': {
    type: 'string',
    value: 'PREFIX',
    option: 'destinationPrefix',
    help: 'prefix of the copies (the same prefix)',
  },
  'no-dest-prefix': { type: 'boolean', help: 'copies have no prefix' },
  'max-txn-ops': {
    type: 'string',
    value: 'N',
    option: 'maxTxnOps',
    help: 'maximum number of operations in a transaction at the destination (128)',
  },
  'dest-user': { type: 'string', value: 'NAME[:PASSWORD]', help: 'user at the destination' },
  'dest-password': { type: 'string', value: 'PASSWORD', help: 'password of the user at the destination' },
  'dest-cacert': { type: 'string', value: 'FILE', help: 'CA certificate to verify the destination' },
  'dest-cert': { type: 'string', value: 'FILE', help: 'client certificate for the destination' },
  'dest-key': { type: 'string', value: 'FILE', help: 'key of that certificate' },
  'dest-insecure-transport': { type: 'boolean', help: '=false for TLS to endpoints without a scheme (true)' },
} as const satisfies Flags

/** Copies keys to another cluster. */
export const makeMirrorCommand = defineCommand({
  name: 'make-mirror',
  usage: 'DESTINATION',
  summary: 'copy keys to another cluster and keep the copies up to date, until interrupted',
  details: [
    'DESTINATION is a list of endpoints. The progress is stored in a key of the destination, etcdkit-mirror/ and the prefix,',
    'so a mirror that is started again continues. Leases are not copied.',
  ],
  flags,
  arity: [1, 1],
  async run(context, { flags: values, args: [destination = ''] }) {
    const { client, signal } = context
    const target = destinationClient(context, await destinationOptions(context, destination, values))
    const { prefix = '', 'max-txn-ops': maxTxnOps } = values
    const copies = destinationPrefix(values)
    const source = client()
    checkCopies({ source, target }, prefix, copies ?? prefix)
    const mirror = source.mirror(prefix, target, {
      destinationPrefix: copies,
      maxTxnOps: maxTxnOps === undefined ? undefined : integerFlag('max-txn-ops', maxTxnOps, 2),
    })
    try {
      return await untilAborted(AbortSignal.any([signal, report(mirror, context)]))
    } finally {
      await mirror.close()
    }
  },
})

/** Prints what the mirror does; the signal aborts with the error that ends it. */
function report(mirror: Mirror, { output, notes }: Context): AbortSignal {
  const failure = new AbortController()
  mirror.on('synced', ({ revision }) => {
    const line = output.format === 'json' ? JSON.stringify({ revision }) : `synced at revision ${revision}`
    output.line(line).catch((error: unknown) => failure.abort(error))
  })
  mirror.on('retrying', ({ error }) => notes.line(`retrying: ${messageOf(error)}`))
  mirror.on('failed', ({ error }) => failure.abort(error))
  return failure.signal
}

/** The copies must not be copied in turn, which would never end. */
function checkCopies({ source, target }: { source: Etcd; target: Etcd }, from: string, to: string): void {
  const [ours, theirs] = [source, target].map((etcd) => etcd.endpoints().map(({ endpoint }) => endpoint))
  const shared = theirs?.find((endpoint) => ours?.includes(endpoint))
  if (shared === undefined || !(from.startsWith(to) || to.startsWith(from))) return
  throw new UsageError(`DESTINATION has ${shared}, as the source: --dest-prefix must not overlap --prefix`)
}

function destinationPrefix({
  'dest-prefix': given,
  'no-dest-prefix': none,
}: FlagValues<typeof flags>): string | undefined {
  if (none !== true) return given
  if (given !== undefined) throw new UsageError('--dest-prefix and --no-dest-prefix are mutually exclusive')
  return ''
}

/** The names on the command line of the options of the destination; those of the library are of the source. */
const destinationNames: Readonly<Record<string, string>> = {
  endpoints: 'DESTINATION',
  'auth.username': '--dest-user',
  'auth.password': '--dest-password',
  'tls.ca': '--dest-cacert',
  'tls.cert': '--dest-cert',
  'tls.key': '--dest-key',
}

function destinationClient({ client }: Context, options: ClientOptions): Etcd {
  try {
    return client(options)
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error
    throw new UsageError(
      error.message.replace(/`([\w.]+)`/g, (quoted, name: string) => destinationNames[name] ?? quoted),
    )
  }
}

/** The connection to the destination shares only the time limits with the one to the source. */
async function destinationOptions(
  { prompt, clientOptions }: Context,
  endpoints: string,
  values: FlagValues<typeof flags>,
): Promise<ClientOptions> {
  const { 'dest-user': user, 'dest-cacert': ca, 'dest-cert': cert, 'dest-key': key } = values
  const needsPassword = user !== undefined && !user.includes(':') && values['dest-password'] === undefined
  const password = needsPassword ? await prompt('Password at the destination: ') : values['dest-password']
  if (needsPassword && password === undefined) {
    throw new UsageError('--dest-user has no password: use --dest-password, or write NAME:PASSWORD')
  }
  const { auth } = optionsFromEnvironment({ ETCDCTL_USER: user, ETCDCTL_PASSWORD: password })
  const isTls = values['dest-insecure-transport'] === false || ca !== undefined || cert !== undefined
  return { ...clientOptions, discovery: undefined, endpoints, auth, tls: isTls ? { ca, cert, key } : undefined }
}
