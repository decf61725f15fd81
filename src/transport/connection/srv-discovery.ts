import { promises as dns } from 'node:dns'
import { EtcdError } from '../../core/errors.js'
import { isError } from '../../core/thrown.js'

/** How the endpoints of a cluster are discovered by DNS SRV records. */
export interface SrvDiscovery {
  /** The domain of the records. */
  readonly domain: string
  /** Distinguishes several clusters of one domain: the suffix of the service name, like etcdctl's `--discovery-srv-name`. */
  readonly name?: string | undefined
  /** The resolver for the records. @default the system's */
  readonly resolver?: Pick<dns.Resolver, 'resolveSrv'> | undefined
}

type SrvRecords = Awaited<ReturnType<dns.Resolver['resolveSrv']>>

/** The errors for a record that does not exist, as opposed to a failed query. */
const absent: ReadonlySet<unknown> = new Set(['ENOTFOUND', 'ENODATA'])

/**
 * The endpoints from DNS: those of `_etcd-client-ssl._tcp.<domain>` with TLS or, if there are none, those of
 * `_etcd-client._tcp.<domain>` without. They are sorted by ascending priority, descending weight, and name. Rejects with
 * `NOT_CONNECTED` if there are none, or if the query for the TLS records fails: a lost packet must not disable TLS.
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
  // The root as target means that the service is not available (RFC 2782).
  return host === '' ? [] : [`${scheme}://${host}:${port}`]
}

function isAbsence(error: unknown): boolean {
  return isError(error) && 'code' in error && absent.has(error.code)
}

function notFound(names: string, failures: readonly unknown[]): EtcdError {
  const last = failures.at(-1)
  const found = last === undefined || isAbsence(last) ? 'has no SRV records' : 'failed to resolve the SRV records'
  return new EtcdError(`DNS ${found} ${names}`, {
    code: 'NOT_CONNECTED',
    effect: 'none',
    retryable: true,
    cause: failures.length > 1 ? new AggregateError(failures) : last,
  })
}
