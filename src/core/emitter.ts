import { EventEmitter } from 'eventemitter3'

/** An event map: name → the one payload its listeners get. */
export type EventMap<Events> = { [Name in keyof Events]: object }

/**
 * Typed events with one payload each. A listener that throws disturbs neither the emitter nor the other listeners: its
 * error is rethrown on its own, as an uncaught exception, since hiding a caller's bug would help nobody.
 */
export class Emitter<Events extends EventMap<Events>> {
  readonly #emitter = new EventEmitter()

  /** Calls `listener` for each `event` from now on; returns a function that takes it off again. */
  on<Name extends keyof Events & string>(event: Name, listener: (payload: Events[Name]) => void): () => void {
    const guarded = (payload: Events[Name]): void => {
      try {
        listener(payload)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
    this.#emitter.on(event, guarded)
    return () => this.#emitter.off(event, guarded)
  }

  emit<Name extends keyof Events & string>(event: Name, payload: Events[Name]): void {
    this.#emitter.emit(event, payload)
  }

  /** Takes every listener off. */
  clear(): void {
    this.#emitter.removeAllListeners()
  }
}
