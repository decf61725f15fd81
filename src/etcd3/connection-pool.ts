import { assertOptions } from '../core/validate.js'
import { Etcd } from '../index.js'
import {
  type CallOptions,
  type CallOptionsFactory,
  earlierDeadline,
  resolveCallOptions,
  toEngineOptions,
} from './call-options.js'
import { castError } from './cast-error.js'
import { toClientOptions } from './engine-options.js'
import { ClientRuntimeError } from './errors.js'
import type { IOptions, IPolicy } from './options.js'
import { RawCalls } from './raw-calls.js'
import type { CallContext, ServiceName } from './rpc/call-context.js'
import type { ICallable } from './rpc/callable.js'
import type { IResponseHeader } from './rpc/kv-messages.js'
import { toHeader } from './rpc/response.js'

type Bounds = ReturnType<typeof toEngineOptions>

const longestTimerMs = 2 ** 31 - 1

/** Makes the calls of a client, by the engine or by what is mocked in its place. */
export class ConnectionPool implements ICallable<string> {
  readonly callOptionsFactory: CallOptionsFactory | undefined
  readonly engine: Etcd
  readonly #auth: IOptions['auth']
  readonly #policy: IPolicy | undefined
  readonly #raw: RawCalls
  #mock: Partial<ICallable<string>> | undefined
  #hasLoggedIn = false
  #clusterId: string | undefined
  #holding: NodeJS.Timeout | undefined
  readonly #holders = new Set<object>()

  constructor(options: IOptions) {
    this.engine = new Etcd(toClientOptions(options))
    this.callOptionsFactory = options.defaultCallOptions
    this.#auth = options.auth
    this.#policy = options.faultHandling?.global
    this.#raw = new RawCalls(this.engine)
    this.engine.on('authenticated', () => {
      this.#hasLoggedIn = true
    })
  }

  get isMocked(): boolean {
    return this.#mock !== undefined
  }

  mock(callable: Partial<ICallable<string>>): void {
    assertOptions('mock()', callable)
    this.#mock = callable
  }

  unmock(): void {
    this.#mock = undefined
  }

  async exec<T>(service: ServiceName, method: string, payload: unknown, options?: CallOptions): Promise<T> {
    const params = payload as object
    if (this.#mock !== undefined) return mocked(this.#mock, 'exec')(service, method, params, options)
    const context = { service, method, params, isStream: false } as CallContext
    const answer = this.run(context, options, (bounds) => this.#raw.unary(service, method, params, bounds))
    // The caller names the type of the answer of the method.
    return answer as Promise<T>
  }

  /** Runs a call of the engine within the policy, with the options that hold for it, and with the errors of etcd3. */
  run<T>(context: CallContext, options: CallOptions | undefined, call: (bounds: Bounds) => Promise<T>): Promise<T> {
    const attempt = async (): Promise<T> => {
      try {
        return await call(this.boundsOf(context, options))
      } catch (error) {
        throw castError(error, { service: context.service, leaseId: leaseIdOf(context) })
      }
    }
    return this.#policy === undefined ? attempt() : this.#policy.execute(attempt)
  }

  /** The bounds of a call in the engine. */
  boundsOf(context: CallContext, options: CallOptions | undefined): Bounds {
    return toEngineOptions(this.#optionsOf(context, options))
  }

  /** Keeps the process open, as what lives on a stream does in etcd3, until what it returns is called or the client is closed. */
  hold(): () => void {
    const holder = {}
    this.#holders.add(holder)
    this.#holding ??= setInterval(() => {}, longestTimerMs)
    return () => {
      this.#holders.delete(holder)
      if (this.#holders.size === 0) this.#letGo()
    }
  }

  async withConnection<T>(
    service: ServiceName,
    fn: (args: { resource: string; client: unknown; metadata: unknown }) => Promise<T> | T,
  ): Promise<T> {
    if (this.#mock !== undefined) return mocked(this.#mock, 'withConnection')(service, fn)
    return fn({ resource: '', client: this.#raw.streams(), metadata: undefined })
  }

  /** Not needed: the engine tracks failing members. */
  markFailed(): void {}

  /** The header of an answer of which the engine has kept no more than the revision. */
  header(revision: number): IResponseHeader {
    this.#clusterId ??= this.engine.stats().cluster.id
    return toHeader({ clusterId: this.#clusterId, memberId: undefined, revision, raftTerm: 0 })
  }

  close(): Promise<void> {
    this.#letGo()
    return this.engine.close()
  }

  #letGo(): void {
    clearInterval(this.#holding)
    this.#holding = undefined
  }

  #optionsOf(context: CallContext, options: CallOptions | undefined): CallOptions | undefined {
    const resolved = resolveCallOptions(options, this.callOptionsFactory, context)
    if (this.#hasLoggedIn || this.#auth?.callOptions === undefined) return resolved
    const { username: name, password, callOptions } = this.#auth
    const params = { name, password }
    const login = { service: 'Auth', method: 'authenticate', isStream: false, params } as const
    return earlierDeadline(resolved, resolveCallOptions(undefined, callOptions, login))
  }
}

function mocked<Name extends 'exec' | 'withConnection'>(
  mock: Partial<ICallable<string>>,
  name: Name,
): ICallable<string>[Name] {
  const method = mock[name]
  if (method === undefined) throw new ClientRuntimeError(`the client is mocked, and its mock has no ${name}()`)
  return method.bind(mock) as ICallable<string>[Name]
}

function leaseIdOf(context: CallContext): string | undefined {
  const { ID, lease } = Object('params' in context ? context.params : {}) as Readonly<Record<string, unknown>>
  const id = context.service === 'Lease' ? ID : lease
  return id === undefined ? undefined : String(id)
}
