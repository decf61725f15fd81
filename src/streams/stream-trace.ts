import type { EtcdError } from '../core/errors.js'
import type { NamedMethod } from '../interceptors/call-trace.js'
import { outcomeOf } from '../telemetry/channels.js'
import type { ClientTelemetry } from '../telemetry/client-telemetry.js'
import type { CallOutcome, StreamEvent } from '../telemetry/records.js'
import type { StreamListener } from '../transport/connection/stream-call.js'

const ok: CallOutcome = Object.freeze({ ok: true })

/** Reports the events of a stream to telemetry, and passes them on to its listener. */
export class StreamTrace<Response> implements StreamListener<Response> {
  readonly #telemetry: ClientTelemetry
  readonly #method: NamedMethod
  readonly #endpoint: string
  readonly #listener: StreamListener<Response>
  readonly #openedAt = performance.now()

  constructor(telemetry: ClientTelemetry, method: NamedMethod, endpoint: string, listener: StreamListener<Response>) {
    this.#telemetry = telemetry
    this.#method = method
    this.#endpoint = endpoint
    this.#listener = listener
  }

  opened(): void {
    this.#report({ type: 'opened' })
  }

  onSent(): void {
    this.#report({ type: 'sent' })
  }

  onMessage(response: Response): void {
    this.#report({ type: 'received' })
    this.#listener.onMessage(response)
  }

  onEnd(error: EtcdError | undefined): void {
    this.#ended(error === undefined ? ok : outcomeOf(error))
    this.#listener.onEnd(error)
  }

  onDraining(): void {
    this.#listener.onDraining()
  }

  onCancelled(): void {
    this.#ended({ ok: false, aborted: true })
  }

  #ended(outcome: CallOutcome): void {
    this.#report({ type: 'ended', durationMs: performance.now() - this.#openedAt, outcome })
  }

  #report(event: StreamEvent): void {
    const { name: method, path } = this.#method
    this.#telemetry.stream({ method, path, endpoint: this.#endpoint }, event)
  }
}
