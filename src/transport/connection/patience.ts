/** The most that the patience grows. */
const maxFactor = 16

/**
 * How much longer than usual a silent member may take to respond before it counts as unresponsive.
 *
 * A member that is short of CPU is as silent as a dead one. A client that gives up on it sends the same call to another member,
 * and the work of the first is lost; a fleet that does so keeps all members short of CPU for good. The patience of a client
 * therefore doubles with each member that it gives up on, as TCP doubles its timeout, and halves with each answer.
 */
export class Patience {
  #factor = 1

  get factor(): number {
    return this.#factor
  }

  /** A member was found unresponsive. */
  exhausted(): void {
    this.#factor = Math.min(maxFactor, this.#factor * 2)
  }

  /** A member has answered a call. */
  answered(): void {
    if (this.#factor > 1) this.#factor /= 2
  }
}
