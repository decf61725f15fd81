import type { CallOptions, CallOptionsFactory } from '../call-options.js'
import type { ServiceName } from './call-context.js'

/** What streaming calls are made on: a method for each of them, by its name. */
export interface StreamingClient {
  readonly [method: string]: (metadata: unknown, options: CallOptions | undefined) => unknown
}

/** What the calls of a service are made with: a client, or what stands in for one in a test. */
export interface ICallable<T> {
  /** Makes one unary call. */
  exec<R>(service: ServiceName, method: string, params: unknown, options?: CallOptions): Promise<R>
  /** Calls `fn` with what streams are opened on. */
  withConnection<R>(
    service: ServiceName,
    fn: (args: { resource: T; client: unknown; metadata: unknown }) => Promise<R> | R,
  ): Promise<R>
  /** Reports that a call on a host has failed. */
  markFailed(resource: T, error: Error): void
  readonly callOptionsFactory: CallOptionsFactory | undefined
}

/** The answers of a stream. */
export interface IResponseStream<T> {
  on(event: 'data', fn: (item: T) => void): this
  on(event: 'end', fn: () => void): this
  on(event: 'status', fn: (status: IStatus) => void): this
  on(event: 'error', fn: (err: Error) => void): this
}

/** How a stream ended. */
export interface IStatus {
  readonly code: number
  readonly details: string
}

/** The requests of a stream. */
export interface IRequestStream<T> {
  write(item: T): void
  end(): void
  cancel(): void
}

/** A stream of requests and answers. */
export interface IDuplexStream<T, R> extends IRequestStream<T>, IResponseStream<R> {}
