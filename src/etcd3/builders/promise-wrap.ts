/** What a promise rejects with, as the types of the language have it. */
export type Reason = Parameters<NonNullable<Parameters<Promise<unknown>['catch']>[0]>>[0]

/** A request that is sent when it is awaited, and again each time. */
export abstract class PromiseWrap<T> implements PromiseLike<T> {
  then<Fulfilled = T, Rejected = never>(
    onFulfilled?: ((value: T) => Fulfilled | PromiseLike<Fulfilled>) | null,
    onRejected?: ((error: Reason) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected> {
    return this.createPromise().then(onFulfilled, onRejected)
  }

  catch<Rejected>(onRejected: (error: Reason) => Rejected | PromiseLike<Rejected>): Promise<T | Rejected> {
    return this.createPromise().catch(onRejected)
  }

  protected abstract createPromise(): Promise<T>
}
