import { promises as dns } from 'node:dns'
import { EtcdError } from '../../core/errors.js'

/** Where to look for a cluster in DNS. */
export interface SrvDiscovery {
  /** The domain that holds the records. */
  readonly domain: string
  /** Tells several clusters of one domain apart: it is added to the service, as etcdctl's `--discovery-srv-name`. */
  readonly name?: string | undefined
  /** Asks these servers instead of the system's. */
  readonly resolver?: Pick<dns.Resolver, 'resolveSrv'> | undefined
}

type SrvRecords = Awaited<ReturnType<dns.Resolver['resolveSrv']>>

/** What a name server says of a record that does not exist, as opposed to saying nothing. */
const absent: ReadonlySet<unknown> = new Set(['ENOTFOUND', 'ENODATA'])

/**
 * The endpoints that DNS knows: those of `_etcd-client-ssl._tcp.<domain>`, over TLS, or else those of
 * `_etcd-client._tcp.<domain>`. Where both exist only the former are used, since a client never mixes the two. They come
 * by priority, lowest first, then by weight, highest first, then by name. Rejects with `NOT_CONNECTED` where there are
 * none, or where DNS does not say whether there are any with TLS: a lost answer must not take the client off TLS.
 */
export async function discoverEndpoints({ domain, name, resolver = dns }: SrvDiscovery): Promise<string[]> {
  const suffix = name === undefined ? '' : `-${name}`
  const secure = `_etcd-client-ssl${suffix}._tcp.${domain}`
  const plain = `_etcd-client${suffix}._tcp.${domain}`
  const failures: unknown[] = []
  for (const [service, scheme] of [
    [secure, 'https'],
    [plain, 'http'],
  ] as const) {
    try {
      const urls = inOrder(await resolver.resolveSrv(service)).flatMap((record) => urlOf(scheme, record))
      if (urls.length > 0) return urls
    } catch (error) {
      failures.push(error)
      if (!isAbsence(error)) break
    }
  }
  throw notFound(`${secure} or ${plain}`, failures)
}

function inOrder(records: SrvRecords): SrvRecords {
  return [...records].sort(
    (a, b) => a.priority - b.priority || b.weight - a.weight || compareText(a.name, b.name) || a.port - b.port,
  )
}

function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function urlOf(scheme: string, { name, port }: SrvRecords[number]): string[] {
  const host = name.replace(/\.$/, '')
  // The root as target says that the service is not offered here (RFC 2782).
  return host === '' ? [] : [`${scheme}://${host}:${port}`]
}

function isAbsence(error: unknown): boolean {
  return error instanceof Error && 'code' in error && absent.has(error.code)
}

function notFound(names: string, failures: readonly unknown[]): EtcdError {
  const last = failures.at(-1)
  const found = last === undefined || isAbsence(last) ? 'has no SRV records' : 'could not be asked for SRV records'
  return new EtcdError(`DNS ${found} ${names}`, {
    code: 'NOT_CONNECTED',
    effect: 'none',
    retryable: true,
    cause: failures.length > 1 ? new AggregateError(failures) : last,
  })
}
