import type { Etcd } from 'etcdkit'
import type { EtcdCluster } from 'etcdkit/testing'
import type { Screen } from './screen.js'

/** The context of every section of the tour. */
export interface Stage {
  readonly cluster: EtcdCluster
  readonly etcd: Etcd
  readonly screen: Screen
}

/** Number of range requests that each member has served since its start, from its metrics. */
export function rangesServed({ cluster }: Stage): Promise<number[]> {
  const labels = { grpc_method: 'Range' }
  return Promise.all(cluster.members.map((member) => member.metric('grpc_server_handled_total', labels)))
}

/** A read that is never batched; concurrent reads of single keys would be one request. */
export function countGreetings({ etcd }: Stage): Promise<number> {
  return etcd.count({ prefix: 'tour/greeting' })
}

/** The name of the member behind an endpoint. */
export function memberName({ cluster }: Stage, endpoint: string): string {
  return cluster.members.find((member) => member.endpoint === endpoint)?.name ?? endpoint
}

/** Makes `count` calls, `inFlight` at a time. */
export async function repeat(
  count: number,
  inFlight: number,
  call: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const work = async (): Promise<void> => {
    while (next < count) await call(next++)
  }
  await Promise.all(Array.from({ length: inFlight }, work))
}
