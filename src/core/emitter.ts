import { EventEmitter } from 'eventemitter3'
import { assertFunction } from './validate.js'

/** Rejects a listener that is not a function. */
export function assertListener(listener: unknown): void {
  assertFunction('listener', listener)
}

/** Maps event names to payloads. */
export type EventMap<Events> = { [Name in keyof Events]: object }

/**
 * Typed events with one payload each. A listener that throws does not affect the emitter or other listeners: its error is
 * rethrown as an uncaught exception, because hiding a bug of the caller would help nobody.
 */
export class Emitter<Events extends EventMap<Events>> {
  readonly #emitter = new EventEmitter()

  /** Calls `listener` for each `event` from now on. Returns a function that removes it. */
  on<Name extends keyof Events & string>(event: Name, listener: (payload: Events[Name]) => void): () => void {
    assertListener(listener)
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

  /** Removes all listeners. */
  clear(): void {
    this.#emitter.removeAllListeners()
  }
}
