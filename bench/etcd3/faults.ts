import type { EtcdCluster, FaultProxy } from '../../src/testing/index.js'

/** Faults of a cluster, by the names that programs use. */
export class Faults {
  readonly #cluster: EtcdCluster

  constructor(cluster: EtcdCluster) {
    this.#cluster = cluster
  }

  async inject(name: string): Promise<void> {
    const cluster = this.#cluster
    if (name === 'kill the leader') await cluster.kill(await cluster.leader())
    else if (name === 'freeze a follower') await cluster.pause(((await cluster.leader()) + 1) % cluster.members.length)
    else if (name === 'heal') this.#proxies((proxy) => proxy.heal())
    else if (name === 'cut') this.#proxies((proxy) => proxy.cut())
    else if (name === 'lose answers') this.#proxies((proxy) => proxy.blackhole('down', { bytes: 'lost' }))
    else if (name === 'slow down') this.#proxies((proxy) => proxy.throttle(100_000, 'down'))
    else if (name === 'isolate') this.#proxies(isolate)
    else throw new Error(`no fault is named '${name}'`)
  }

  /** Ends all faults, those of members included. */
  async end(): Promise<void> {
    this.#proxies((proxy) => proxy.heal())
    for (const [index, { state }] of this.#cluster.members.entries()) {
      if (state === 'paused') await this.#cluster.resume(index)
      if (state === 'stopped') await this.#cluster.restart(index)
    }
    await this.#cluster.healthy()
  }

  #proxies(act: (proxy: FaultProxy) => void): void {
    for (const { proxy } of this.#cluster.members) if (proxy !== undefined) act(proxy)
  }
}

function isolate(proxy: FaultProxy): void {
  proxy.refuse()
  proxy.cut()
}
