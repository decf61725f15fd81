import { Etcd } from 'etcdkit'

/** Survives hot reloads, which evaluate this module again: without it, each reload would leave a client behind. */
const shared = globalThis as typeof globalThis & { etcd?: Etcd }

/** The client of this process. Created at the first request, so that `next build` needs no etcd. */
export function etcdClient(): Etcd {
  shared.etcd ??= Etcd.fromEnv()
  return shared.etcd
}
