import type { EtcdCluster, EtcdMember, FaultProxy, GatewayMessage } from '../../src/testing/index.js'

/** A key in the cluster, as the leader's JSON gateway returns it. */
export interface StoredKey {
  readonly key: string
  readonly value: string
  readonly version: number
  readonly modRevision: number
}

/** A member by its index. */
export function memberAt(cluster: EtcdCluster, index: number): EtcdMember {
  const member = cluster.members[index]
  if (member === undefined) throw new RangeError(`there is no member ${index}`)
  return member
}

/** The fault proxy in front of a member. */
export function proxyAt(cluster: EtcdCluster, index: number): FaultProxy {
  const { proxy } = memberAt(cluster, index)
  if (proxy === undefined) throw new Error('start the cluster with `proxy: true`')
  return proxy
}

/** Lets all members run and answer again: a test that failed does not take those after it along. */
export async function revive(cluster: EtcdCluster): Promise<void> {
  for (const [index, { state }] of cluster.members.entries()) {
    if (state === 'paused') await cluster.resume(index)
    if (state === 'stopped') await cluster.restart(index)
  }
  await cluster.healthy()
}

/** Cuts the connection at the first answer after a request with `text` in it. Returns how often it did: once at most. */
export function loseAnswerTo(proxy: FaultProxy, text: string): () => number {
  let isAsked = false
  let cuts = 0
  proxy.onData((bytes, { direction }) => {
    if (direction === 'up') isAsked ||= bytes.includes(text)
    if (direction === 'up' || !isAsked || cuts > 0) return undefined
    cuts += 1
    return 'reset'
  })
  return () => cuts
}

/** How many calls of an RPC, for example `Range`, a member has finished since it was started. */
export function served(member: EtcdMember, method: string): Promise<number> {
  return member.metric('grpc_server_handled_total', { grpc_method: method })
}

/** How many calls of an RPC have reached a member since it was started. */
export function received(member: EtcdMember, method: string): Promise<number> {
  return member.metric('grpc_server_started_total', { grpc_method: method })
}

/** All keys with a prefix, read by linearizable calls of the gateway. */
export async function storedKeys(cluster: Pick<EtcdCluster, 'call'>, prefix: string): Promise<StoredKey[]> {
  const end = Buffer.from(prefix)
  end.writeUInt8(end.readUInt8(end.length - 1) + 1, end.length - 1)
  const answer = await cluster.call('/v3/kv/range', { key: base64(prefix), range_end: end.toString('base64') })
  return kvsOf(answer).map((kv) => ({
    key: text(kv.key),
    value: text(kv.value),
    version: Number(kv.version),
    modRevision: Number(kv.mod_revision),
  }))
}

/** One key, read by a linearizable call of the gateway. */
export async function storedKey(cluster: Pick<EtcdCluster, 'call'>, key: string): Promise<StoredKey | undefined> {
  return (await storedKeys(cluster, key)).find((stored) => stored.key === key)
}

function kvsOf(answer: GatewayMessage): readonly Record<string, unknown>[] {
  return Array.isArray(answer.kvs) ? answer.kvs : []
}

function base64(plain: string): string {
  return Buffer.from(plain).toString('base64')
}

function text(encoded: unknown): string {
  return Buffer.from(String(encoded ?? ''), 'base64').toString()
}
