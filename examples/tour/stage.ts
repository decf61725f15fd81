import type { Etcd } from 'etcdkit'
import type { EtcdCluster } from 'etcdkit/testing'
import type { Screen } from './screen.js'

/** What every section of the tour works with. */
export interface Stage {
  readonly cluster: EtcdCluster
  readonly etcd: Etcd
  readonly screen: Screen
}

/** How many range requests each member has served since it was started, as its own metrics tell. */
export function rangesServed({ cluster }: Stage): Promise<number[]> {
  const labels = { grpc_method: 'Range' }
  return Promise.all(cluster.members.map((member) => member.metric('grpc_server_handled_total', labels)))
}

/** A read that is a request of its own: reads of single keys that are made at the same time go out as one. */
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
