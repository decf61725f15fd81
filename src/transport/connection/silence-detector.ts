import type { Traffic } from '../channel.js'

/** Ticks without a byte, while a response is due, before the member is probed. */
const probeAfterTicks = 3
/** Ticks that it has at least to respond to the probe. */
const probeTimeoutTicks = 4
/** Ticks between probes while bytes arrive but no responses. */
const probeEveryTicks = 10
/**
 * Bytes that must arrive within `busyTicks` without a response. Fewer are not a response in transit on any usable link, but
 * HTTP/2 control frames from a member that is stuck.
 */
const busyBytes = 16 * 1024
const busyTicks = 50

/** A smaller backlog shows nothing about the network: socket buffers take as much, and more, for a peer that is gone. */
const backlogBytes = 16 * 1024

/** What to do with a member. */
export type Verdict = 'wait' | 'probe' | 'unresponsive'

/**
 * Judges by the traffic of one connection whether its member is alive. Any byte received is a sign of life, and so is any
 * progress of a send backlog: a member is not unresponsive because a response takes minutes to arrive or a request minutes to
 * be sent. It is unresponsive if it stays silent after a probe.
 */
export class SilenceDetector {
  #bytesRead = 0
  #bytesUnsent = 0
  #silentTicks = 0
  #answerlessTicks = 0
  #bytesSinceAnswer = 0
  /** The patience when the silence began: one that shrinks meanwhile must not end it before a probe. */
  #patience = 1

  /** A response has arrived. */
  answered(): void {
    this.#silentTicks = 0
    this.#answerlessTicks = 0
    this.#bytesSinceAnswer = 0
  }

  /** Compares the traffic with the previous sample. Returns whether it shows a sign of life. */
  sample({ bytesRead, bytesUnsent }: Traffic): boolean {
    const hasReceived = bytesRead !== this.#bytesRead
    const hasSent = this.#bytesUnsent >= backlogBytes && bytesUnsent < this.#bytesUnsent
    // The counters of a new connection start at 0.
    this.#bytesSinceAnswer += Math.max(0, bytesRead - this.#bytesRead)
    this.#bytesRead = bytesRead
    this.#bytesUnsent = bytesUnsent
    return hasReceived || hasSent
  }

  /**
   * One tick while a response is due. `extraTicks` is the additional time for a distant member; `patience` multiplies the
   * time without a sign of life.
   */
  tick(hasSign: boolean, extraTicks: number, patience = 1): Verdict {
    this.#answerlessTicks += 1
    this.#silentTicks = hasSign ? 0 : this.#silentTicks + 1
    if (this.#silentTicks <= 1) this.#patience = patience
    const silenceTicks = (probeAfterTicks + probeTimeoutTicks) * this.#patience + extraTicks
    if (this.#silentTicks >= silenceTicks || this.#isStuck(extraTicks)) return 'unresponsive'
    const probeTicks = probeAfterTicks * this.#patience
    const isDue = this.#answerlessTicks % (probeEveryTicks * this.#patience) === probeTicks
    const asks = this.#silentTicks === probeTicks || isDue
    return asks ? 'probe' : 'wait'
  }

  #isStuck(extraTicks: number): boolean {
    const periods = Math.floor(this.#answerlessTicks / (busyTicks * this.#patience + extraTicks))
    return this.#bytesSinceAnswer < periods * busyBytes
  }
}
