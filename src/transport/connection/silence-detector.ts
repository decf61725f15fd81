import type { Traffic } from '../channel.js'

/** Ticks without a sign of life, while one is due, before the member is asked whether it is alive. */
const probeAfterTicks = 3
/** Ticks that it has to answer that question, at least. */
const probeTimeoutTicks = 4
/** Ticks between questions, while bytes come but no answers. */
const probeEveryTicks = 10
/**
 * What must have come within `busyTicks` if there was no answer: less is no answer under way, on a link of any use, but the
 * small talk of HTTP/2 with a member that does nothing any more.
 */
const busyBytes = 16 * 1024
const busyTicks = 50

/** A backlog below this says nothing of the network: the system takes as much, and more, for a peer that is gone. */
const backlogBytes = 16 * 1024

/** What to do with a member, as far as its life is concerned. */
export type Verdict = 'wait' | 'probe' | 'unresponsive'

/**
 * Judges by the traffic of one connection whether its member is alive. Any byte from it is a sign of life, and so is any
 * that the network takes of a backlog: an answer that takes minutes to arrive, or a request that takes minutes to be sent,
 * never makes a member unresponsive. What does is silence, although it was asked.
 */
export class SilenceDetector {
  #bytesRead = 0
  #bytesUnsent = 0
  #silentTicks = 0
  #answerlessTicks = 0
  #bytesSinceAnswer = 0

  /** The member answered. */
  answered(): void {
    this.#silentTicks = 0
    this.#answerlessTicks = 0
    this.#bytesSinceAnswer = 0
  }

  /** Looks at the traffic since the last look. Returns whether there was a sign of life in it. */
  sample({ bytesRead, bytesUnsent }: Traffic): boolean {
    const came = bytesRead !== this.#bytesRead
    const left = this.#bytesUnsent >= backlogBytes && bytesUnsent < this.#bytesUnsent
    // Another connection counts from the start.
    this.#bytesSinceAnswer += Math.max(0, bytesRead - this.#bytesRead)
    this.#bytesRead = bytesRead
    this.#bytesUnsent = bytesUnsent
    return came || left
  }

  /** One tick, in which an answer was due; `extraTicks` more than usual are granted to far members. */
  tick(hasSign: boolean, extraTicks: number): Verdict {
    this.#answerlessTicks += 1
    this.#silentTicks = hasSign ? 0 : this.#silentTicks + 1
    if (this.#silentTicks >= probeAfterTicks + probeTimeoutTicks + extraTicks || this.#isStuck(extraTicks))
      return 'unresponsive'
    const asks = this.#silentTicks === probeAfterTicks || this.#answerlessTicks % probeEveryTicks === probeAfterTicks
    return asks ? 'probe' : 'wait'
  }

  #isStuck(extraTicks: number): boolean {
    const periods = Math.floor(this.#answerlessTicks / (busyTicks + extraTicks))
    return this.#bytesSinceAnswer < periods * busyBytes
  }
}
