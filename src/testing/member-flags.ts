import { compareVersions } from './etcd-version.js'

/** Values of etcd flags by name without dashes; undefined leaves a flag out. */
export type EtcdFlags = Readonly<Record<string, string | number | boolean | undefined>>

/**
 * Writes flags as arguments, under the names that this version of etcd knows. Flags that lost the prefix
 * `experimental-` in 3.6 can be given with and without it, and `feature-gates` works before 3.6 too.
 */
export function flagArguments(flags: EtcdFlags, version: string): string[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    if (value === undefined) return []
    if (name === 'feature-gates' && isBefore36(version)) return gateArguments(String(value))
    return [`--${flagName(name, version)}=${value}`]
  })
}

function isBefore36(version: string): boolean {
  return compareVersions(version, '3.6.0') < 0
}

/** Flags that were called `experimental-…` until 3.5 and lost the prefix in 3.6. */
const movedFlags = new Set([
  'bootstrap-defrag-threshold-megabytes',
  'compact-hash-check-time',
  'compaction-batch-limit',
  'compaction-sleep-interval',
  'corrupt-check-time',
  'distributed-tracing-address',
  'distributed-tracing-instance-id',
  'distributed-tracing-sampling-rate',
  'distributed-tracing-service-name',
  'downgrade-check-time',
  'enable-distributed-tracing',
  'max-learners',
  'memory-mlock',
  'peer-skip-client-san-verification',
  'snapshot-catchup-entries',
  'warning-apply-duration',
  'warning-unary-request-duration',
  'watch-progress-notify-interval',
])

function flagName(name: string, version: string): string {
  const plain = name.replace(/^experimental-/, '')
  if (!movedFlags.has(plain)) return name
  return isBefore36(version) ? `experimental-${plain}` : plain
}

/** Feature gates of 3.6 that were flags of their own before. */
const gateFlags: Readonly<Record<string, string>> = {
  CompactHashCheck: 'experimental-compact-hash-check-enabled',
  InitialCorruptCheck: 'experimental-initial-corrupt-check',
  LeaseCheckpoint: 'experimental-enable-lease-checkpoint',
  LeaseCheckpointPersist: 'experimental-enable-lease-checkpoint-persist',
  StopGRPCServiceOnDefrag: 'experimental-stop-grpc-service-on-defrag',
  TxnModeWriteWithSharedBuffer: 'experimental-txn-mode-write-with-shared-buffer',
}

/** Converts `Gate=true,Other=false` to the flags of 3.4 and 3.5. */
function gateArguments(gates: string): string[] {
  return gates.split(',').map((gate) => {
    const [name = '', value = 'true'] = gate.trim().split('=')
    const flag = gateFlags[name]
    if (flag === undefined) throw new TypeError(`etcd before 3.6 has no flag for the feature gate '${name}'`)
    return `--${flag}=${value}`
  })
}

/** How often the leader sends heartbeats and how long followers do without before they vote. */
export type ClusterTimers = 'fast' | 'default'

const timerFlags: Readonly<Record<ClusterTimers, EtcdFlags>> = {
  fast: { 'heartbeat-interval': 50, 'election-timeout': 500 },
  default: {},
}

/** The flags of every member that a test may override: quick elections, no disk flushes, immediate member changes. */
export function baseFlags(timers: string = process.env.ETCDKIT_ETCD_TIMERS ?? 'fast'): EtcdFlags {
  if (timers !== 'fast' && timers !== 'default') {
    throw new TypeError(`\`timers\` and ETCDKIT_ETCD_TIMERS must be 'fast' or 'default', got '${timers}'`)
  }
  return {
    ...timerFlags[timers],
    logger: 'zap',
    'log-outputs': 'stderr',
    'log-level': 'warn',
    // Otherwise etcd refuses member changes until all members have been connected for five seconds.
    'strict-reconfig-check': false,
    // Without flushes a start takes tens of milliseconds less; a killed process loses nothing by it.
    'unsafe-no-fsync': true,
  }
}
