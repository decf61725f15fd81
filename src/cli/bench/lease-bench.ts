import { benchFlags, benchSettings } from './bench-flags.js'
import { connections, defineBench, operations, runBench, turnOf } from './run-bench.js'

const ttlSeconds = 100

/** Renews leases. */
export const leaseKeepAliveBench = defineBench({
  name: 'bench lease-keepalive',
  usage: '',
  summary: 'measure renewals of leases',
  details: ['Each client has one lease, which is revoked at the end.'],
  flags: benchFlags,
  arity: [0, 0],
  async run(context, { flags }) {
    const settings = benchSettings(flags, context)
    const { signal } = context
    const clients = await connections(context, settings)
    const leases = await Promise.all(
      Array.from({ length: settings.clients }, (_, worker) =>
        turnOf(clients, worker).lease.grant(ttlSeconds, { keepAlive: false, signal }),
      ),
    )
    const workload = operations('bench lease-keepalive', settings, async (_, worker) => {
      await turnOf(clients, worker).lease.keepAliveOnce(turnOf(leases, worker).id, { signal })
      return {}
    })
    const cleanUp = async (): Promise<void> => {
      await Promise.all(leases.map((lease) => lease.revoke()))
    }
    return runBench(context, { ...workload, cleanUp }, flags)
  },
})
