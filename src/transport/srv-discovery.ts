import { promises as dns } from 'node:dns'
import { EtcdError } from '../core/errors.js'

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

/**
 * The endpoints that DNS knows: those of `_etcd-client-ssl._tcp.<domain>`, over TLS, or else those of
 * `_etcd-client._tcp.<domain>`. Where both exist only the former are used, since a client never mixes the two. Rejects
 * with `NOT_CONNECTED` where there are none.
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
      const records = await resolver.resolveSrv(service)
      if (records.length > 0)
        return inOrder(records).map(({ name, port }) => `${scheme}://${name.replace(/\.$/, '')}:${port}`)
    } catch (error) {
      failures.push(error)
    }
  }
  throw new EtcdError(`DNS has no SRV records ${secure} or ${plain}`, {
    code: 'NOT_CONNECTED',
    effect: 'none',
    retryable: true,
    cause: failures.length === 1 ? failures[0] : new AggregateError(failures),
  })
}

function inOrder(records: SrvRecords): SrvRecords {
  return [...records].sort((a, b) => a.priority - b.priority || b.weight - a.weight || (a.name < b.name ? -1 : 1))
}
