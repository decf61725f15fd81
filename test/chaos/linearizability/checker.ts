import { emptyStore, type ModelState, stateText, step } from './etcd-model.js'
import type { RecordedCall } from './history.js'

/** The begin or the end of a call in the list of those that are not placed yet. */
interface Node {
  readonly call: RecordedCall
  readonly index: number
  readonly isCall: boolean
  /** Of a call: its end. */
  end: Node | undefined
  previous: Node | undefined
  next: Node | undefined
}

export type Verdict =
  | { readonly kind: 'linearizable' }
  /** `placed` calls could be ordered, never more; `blocked` is the call that had to come next by then, and did not fit. */
  | { readonly kind: 'illegal'; readonly placed: number; readonly blocked: RecordedCall }
  | { readonly kind: 'undecided'; readonly placed: number }

/**
 * Whether there is an order of the calls in which each takes effect between its begin and its end, and the store answers as
 * it did. The algorithm is that of Wing and Gong with Lowe's memory of visited configurations: it places, one after the
 * other, a call that began before the first end that is left, and goes back where none fits.
 */
export function checkLinearizable(history: readonly RecordedCall[], maxSteps = 5_000_000): Verdict {
  const head = listOf(history)
  const visited = new Set<string>()
  const fingerprint = new Fingerprint(history.length)
  const placed: { readonly node: Node; readonly before: ModelState }[] = []
  let state = emptyStore
  let most = 0
  let blocked = history[0]
  let blockedAt = -1
  let node = head.next
  for (let steps = 0; head.next !== undefined; steps++) {
    if (steps > maxSteps) return { kind: 'undecided', placed: most }
    if (node?.isCall) {
      const after = step(state, node.call)
      fingerprint.toggle(node.index)
      if (after !== undefined && isNew(visited, `${fingerprint.text} ${stateText(after)}`)) {
        placed.push({ node, before: state })
        most = Math.max(most, placed.length)
        state = after
        lift(node)
        node = head.next
      } else {
        fingerprint.toggle(node.index)
        node = node.next
      }
      continue
    }
    // The end of a call that is not placed, or of the list: the last choice was wrong.
    if (node !== undefined && placed.length > blockedAt) {
      blocked = node.call
      blockedAt = placed.length
    }
    const last = placed.pop()
    if (last === undefined) return verdict(blocked, most)
    state = last.before
    fingerprint.toggle(last.node.index)
    unlift(last.node)
    node = last.node.next
  }
  return { kind: 'linearizable' }
}

function verdict(blocked: RecordedCall | undefined, placed: number): Verdict {
  return blocked === undefined ? { kind: 'linearizable' } : { kind: 'illegal', placed, blocked }
}

function isNew(visited: Set<string>, configuration: string): boolean {
  if (visited.has(configuration)) return false
  visited.add(configuration)
  return true
}

/** The set of placed calls, as 106 bits that depend on each member. */
class Fingerprint {
  readonly #codes: readonly (readonly [bigint, bigint])[]
  #bits = 0n

  constructor(length: number) {
    let seed = 0x2545f491n
    const random = (): bigint => {
      seed = (seed * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n)
      return seed >> 11n
    }
    this.#codes = Array.from({ length }, () => [random(), random()])
  }

  get text(): string {
    return this.#bits.toString(36)
  }

  toggle(index: number): void {
    const [high = 0n, low = 0n] = this.#codes[index] ?? []
    this.#bits ^= (high << 53n) | low
  }
}

/** The begins and ends in the order of their times; at one time, begins come first. Returns the head before them. */
function listOf(history: readonly RecordedCall[]): Node {
  const nodes = history.flatMap((call, index) => {
    const end: Node = { call, index, isCall: false, end: undefined, previous: undefined, next: undefined }
    return [{ ...end, isCall: true, end }, end]
  })
  const timeOf = ({ isCall, call }: Node): number =>
    isCall ? call.calledAt : (call.returnedAt ?? Number.POSITIVE_INFINITY)
  nodes.sort((a, b) => Math.sign(timeOf(a) - timeOf(b)) || Number(b.isCall) - Number(a.isCall))
  const [first] = nodes
  const head: Node = {
    call: first?.call ?? noCall,
    index: -1,
    isCall: false,
    end: undefined,
    previous: undefined,
    next: undefined,
  }
  let last = head
  for (const node of nodes) {
    last.next = node
    node.previous = last
    last = node
  }
  return head
}

const noCall: RecordedCall = {
  client: 0,
  calledAt: 0,
  returnedAt: 0,
  compares: [],
  success: [],
  failure: [],
  output: null,
}

/** Takes a call and its end out of the list; they keep their neighbours for `unlift()`. */
function lift(node: Node): void {
  for (const each of [node, node.end]) {
    if (each === undefined) continue
    if (each.previous !== undefined) each.previous.next = each.next
    if (each.next !== undefined) each.next.previous = each.previous
  }
}

/** Puts a call and its end back where they were; calls are put back in the reverse order of their lifting. */
function unlift(node: Node): void {
  for (const each of [node.end, node]) {
    if (each === undefined) continue
    if (each.previous !== undefined) each.previous.next = each
    if (each.next !== undefined) each.next.previous = each
  }
}
