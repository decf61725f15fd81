import { basename } from 'node:path'

/** What a user calls the subject of a test. */
interface Feature {
  readonly name: string
  /** Matches the names of its test files, without folder and ending. */
  readonly files: RegExp
  /** Matches the suites that belong to it, in a file of several features. */
  readonly suites?: RegExp
}

/** The rows of the table, in its order. The first that matches a test has it. */
const features: readonly Feature[] = [
  { name: 'Keys and values', files: /^kv$/, suites: /^(?!Transactions|Conditional)/ },
  { name: 'Transactions', files: /^(kv$|stm|write-grouping)/ },
  { name: 'Keys and values', files: /^(own-keys|namespace|typed|bad-input|rpcs|reused-buffers|slow-links|limits)/ },
  { name: 'Listing and read modes', files: /^(listing|read-|cached-reads)/ },
  { name: 'Watches', files: /^watch/ },
  { name: 'Informers', files: /^informer/ },
  { name: 'Authentication', files: /^(auth|jwt|lease-auth|other-cluster-auth)/ },
  { name: 'Leases', files: /^lease(?!s$)/ },
  { name: 'Locks, semaphores, barriers', files: /^(lock|rw-lock|semaphore|barrier|nested-names|interoperation)/ },
  { name: 'Elections', files: /^election/ },
  { name: 'Queues', files: /^(queue|workqueue)/ },
  { name: 'Service discovery', files: /^naming/ },
  { name: 'Mirrors', files: /^mirror/ },
  { name: 'TLS', files: /^(tls|certificates)/ },
  { name: 'Maintenance and backups', files: /^(maintenance|snapshot|compactor|restored)/ },
  {
    name: 'Addresses and membership',
    files: /^(cluster|addresses|endpoints|learner|moved-member|health|other-cluster|not-etcd|member)/,
  },
  { name: 'Proxies and balancers', files: /prox|balancer|nginx|web-servers/ },
  {
    name: 'Failover and lost connections',
    files:
      /^(balance|connect-faults|few-streams|http2|leaving|lost-answers|refused-calls|black-hole|forgotten|frozen|history|leader|quorum)/,
  },
  { name: 'Timeouts, cancellation, close', files: /^(cancellation|waits|lifecycle|leaks|options)/ },
  { name: 'Diagnostics and metrics', files: /^(diagnostics|observability|exporters|printing)/ },
]

const others = 'Other'

/** The names of all features, in the order of the table. */
export const featureNames: readonly string[] = [...new Set(features.map(({ name }) => name)), others]

/** The feature of a test, by its file and its outermost suite. */
export function featureOf(file: string, suite = ''): string {
  const name = basename(file, '.test.ts')
  return features.find(({ files, suites }) => files.test(name) && (suites?.test(suite) ?? true))?.name ?? others
}
