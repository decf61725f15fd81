/** Some clients of the fleet in one process, see fleet.ts. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, type Informer, isEtcdError, type Registration } from '../src/index.js'

/** What a worker is to do. */
export interface WorkerTask {
  readonly endpoints: readonly string[]
  readonly transport: 'http2' | 'grpc-js'
  /** The clients have the numbers from `first` on. */
  readonly first: number
  readonly count: number
  readonly password: string
  readonly leaseTtlSeconds: number
  readonly clientsPerLock: number
}

/** Asks a worker to report when all its clients are well again after an event. */
export interface WellQuestion {
  readonly id: number
  /** The value of the key `canary` that every informer has to show. */
  readonly canary: string
  readonly maxWaitMs: number
}

export interface WellAnswer {
  readonly id: number
  /** Since the question, until the last client was well in each respect; `Infinity` for longer than `maxWaitMs`. */
  readonly informersMs: number
  readonly leasesMs: number
  readonly locksMs: number
  readonly cpuSeconds: number
  readonly failures: Readonly<Record<string, number>>
  readonly leasesLost: number
  readonly resyncs: number
  readonly maxRssBytes: number
}

const pollMs = 20
/** How long a lock is held; the other clients of the lock wait for it all the time. */
const holdMs = 1000

const failures = new Map<string, number>()
/** When each lock was last acquired. */
const lockedAt = new Map<string, number>()
let leasesLost = 0

function count(error: unknown): void {
  const code = isEtcdError(error) ? error.code : String(error)
  failures.set(code, (failures.get(code) ?? 0) + 1)
}

/** One client: a separate login, an informer, a registration with a lease, and a lock that it shares with others. */
class FleetClient {
  readonly #etcd: Etcd
  readonly #informer: Informer<string>
  readonly #lock: string
  readonly #key: string
  readonly #ttlSeconds: number
  #registration: Registration | undefined

  constructor({ endpoints, transport, password, leaseTtlSeconds, clientsPerLock }: WorkerTask, index: number) {
    this.#etcd = new Etcd({ endpoints, transport, auth: { username: `client-${index}`, password } })
    this.#informer = this.#etcd.informer({ prefix: 'fleet/config/' })
    this.#lock = `fleet/lock/${Math.floor(index / clientsPerLock)}`
    this.#key = `fleet/member/${index}`
    this.#ttlSeconds = leaseTtlSeconds
    this.#etcd.on('leaseLost', () => {
      leasesLost += 1
    })
  }

  start(): void {
    void this.#register()
    void this.#lockForever()
  }

  get resyncs(): number {
    return this.#informer.stats().resyncs
  }

  hasSynced(canary: string): boolean {
    return this.#informer.get('fleet/config/canary') === canary
  }

  get isRegistered(): boolean {
    return this.#registration?.isRegistered === true
  }

  hasLockedSince(time: number): boolean {
    return (lockedAt.get(this.#lock) ?? Number.NEGATIVE_INFINITY) >= time
  }

  async #register(): Promise<void> {
    while (this.#registration === undefined) {
      try {
        const options = { ttlSeconds: this.#ttlSeconds, timeoutMs: 60_000 }
        this.#registration = await this.#etcd.register(this.#key, 'up', options)
      } catch (error) {
        count(error)
      }
    }
  }

  async #lockForever(): Promise<void> {
    for (;;) {
      try {
        await this.#etcd.withLock(this.#lock, { ttlSeconds: this.#ttlSeconds, timeoutMs: 60_000 }, async () => {
          lockedAt.set(this.#lock, performance.now())
          await sleep(holdMs)
        })
      } catch (error) {
        count(error)
      }
    }
  }
}

/** Resolves with the time from `since` until `isWell` holds for every client. */
async function whenAll(
  clients: readonly FleetClient[],
  since: number,
  maxWaitMs: number,
  isWell: (client: FleetClient) => boolean,
): Promise<number> {
  let left = clients
  for (;;) {
    left = left.filter((client) => !isWell(client))
    const waitedMs = performance.now() - since
    if (left.length === 0) return waitedMs
    if (waitedMs > maxWaitMs) return Number.POSITIVE_INFINITY
    await sleep(pollMs)
  }
}

async function answer(clients: readonly FleetClient[], { id, canary, maxWaitMs }: WellQuestion): Promise<WellAnswer> {
  const since = performance.now()
  const [informersMs, leasesMs, locksMs] = await Promise.all([
    whenAll(clients, since, maxWaitMs, (client) => client.hasSynced(canary)),
    whenAll(clients, since, maxWaitMs, (client) => client.isRegistered),
    whenAll(clients, since, maxWaitMs, (client) => client.hasLockedSince(since)),
  ])
  const { user, system } = process.cpuUsage()
  return {
    id,
    informersMs,
    leasesMs,
    locksMs,
    cpuSeconds: (user + system) / 1e6,
    failures: Object.fromEntries(failures),
    leasesLost,
    resyncs: clients.reduce((sum, { resyncs }) => sum + resyncs, 0),
    maxRssBytes: process.resourceUsage().maxRSS * 1024,
  }
}

const task = JSON.parse(process.argv[2] ?? '') as WorkerTask
const clients = Array.from({ length: task.count }, (_, index) => new FleetClient(task, task.first + index))
for (const client of clients) client.start()
process.on('message', (question: WellQuestion) => {
  void answer(clients, question).then((answered) => process.send?.(answered))
})
process.on('disconnect', () => process.exit())
process.send?.('ready')
