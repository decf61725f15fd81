import { EtcdCluster, type EtcdClusterOptions, findEtcd, PortInUseError } from '../../testing/index.js'
import type { Context, FlagValues } from '../command.js'
import { CommandFailed } from '../failure.js'
import { UsageError } from '../usage-error.js'
import { clusterOptions, type devFlags, inFlagNames } from './dev-settings.js'

/** Starts the cluster that the flags describe; downloads etcd if necessary. */
export async function startCluster(flags: FlagValues<typeof devFlags>, context: Context): Promise<EtcdCluster> {
  const options = clusterOptions(flags)
  const version = await availableVersion(flags.etcd, context)
  context.notes.status(`etcd ${version} starts …`)
  const cluster = await start({ ...options, version }, context.signal)
  context.notes.clear()
  if (!context.signal.aborted) return cluster
  await cluster.stop()
  throw context.signal.reason
}

/** The version of an etcd that is on this machine now. */
async function availableVersion(wanted: string | undefined, { notes, signal }: Context): Promise<string> {
  let isAnnounced = false
  const onProgress = (step: string): void => {
    if (!isAnnounced && !notes.isTTY) notes.line(`first use of this version: ${step}`)
    isAnnounced = true
    notes.status(`first use of this version: ${step}`)
  }
  try {
    return (await findEtcd(wanted, { onProgress, signal })).version
  } catch (error) {
    signal.throwIfAborted()
    throw failureOf(error)
  } finally {
    notes.clear()
  }
}

async function start(options: EtcdClusterOptions, signal: AbortSignal): Promise<EtcdCluster> {
  try {
    return await EtcdCluster.start(options)
  } catch (error) {
    signal.throwIfAborted()
    const cause = error instanceof Error ? error.cause : undefined
    if (cause instanceof PortInUseError) throw new CommandFailed(await portText(cause.port), { cause })
    throw failureOf(cause instanceof TypeError ? cause : error)
  }
}

function failureOf(error: unknown): Error {
  const message = inFlagNames(error instanceof Error ? error.message : String(error)).trimEnd()
  return error instanceof TypeError ? new UsageError(message) : new CommandFailed(message, { cause: error })
}

async function portText(port: number): Promise<string> {
  const version = await versionAt(port)
  const user = version === undefined ? '' : ` by etcd ${version}`
  return `port ${port} of 127.0.0.1 is in use${user}: choose another one with --port PORT, or free ones with --port 0`
}

/** The version of the etcd that listens on a port; undefined for another server. */
async function versionAt(port: number): Promise<string | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/version`, { signal: AbortSignal.timeout(2000) })
    const { etcdserver } = (await response.json()) as { readonly etcdserver?: unknown }
    return typeof etcdserver === 'string' ? etcdserver : undefined
  } catch {
    return undefined
  }
}
