import { deleteKey, isEtcdError, key, put, range } from '../../../src/index.js'
import type { RecordedCall, RecordedStep, SeenKey, StepResult } from '../linearizability/history.js'
import { now } from '../records.js'
import type { Workplace } from '../worker.js'

/** A history of this length is checked as a whole. */
export const groupMs = 4000
const keysOfGroup = 4
const loops = 3

type Bare = Pick<RecordedCall, 'compares' | 'success' | 'failure'>

/** Reads, writes, deletions and transactions of a few keys, in groups that are histories of their own. */
export async function registers(place: Workplace): Promise<void> {
  await Promise.all(
    Array.from({ length: loops }, async (_, loop) => {
      const register = new Register(place, place.task.worker * loops + loop)
      await place.repeat('register', () => register.turn())
    }),
  )
}

class Register {
  readonly #place: Workplace
  readonly #client: number
  readonly #modRevisions = new Map<string, number>()
  #writes = 0

  constructor(place: Workplace, client: number) {
    this.#place = place
    this.#client = client
  }

  async turn(): Promise<void> {
    const { random, task } = this.#place
    const group = Math.floor((now() - task.startedAt) / groupMs)
    const name = (): string => `reg/${group}/${Math.floor(random() * keysOfGroup)}`
    const [one, other, value] = [name(), name(), `${this.#client}.${this.#writes++}`]
    const kind = random()
    if (kind < 0.35) await this.#record(group, { compares: [], success: [{ type: 'get', key: one }], failure: [] })
    else if (kind < 0.6) {
      await this.#record(group, { compares: [], success: [{ type: 'put', key: one, value }], failure: [] })
    } else if (kind < 0.7)
      await this.#record(group, { compares: [], success: [{ type: 'delete', key: one }], failure: [] })
    else await this.#record(group, this.#swap([...new Set([one, other])], value))
  }

  /** Changes keys if the first is as it was last seen, or else reads them. */
  #swap(names: readonly string[], value: string): Bare {
    const { random } = this.#place
    const [first = '', second] = names
    return {
      compares: [{ key: first, target: 'modRevision', result: '=', operand: this.#modRevisions.get(first) ?? 0 }],
      success: names.map((name) => {
        const isDeleted = name === second && random() < 0.3
        return isDeleted ? { type: 'delete', key: name } : { type: 'put', key: name, value }
      }),
      failure: names.map((name) => ({ type: 'get', key: name })),
    }
  }

  async #record(group: number, bare: Bare): Promise<void> {
    const { journal } = this.#place
    const calledAt = now()
    const base = { client: this.#client, calledAt, ...bare }
    try {
      const output = await this.#make(bare)
      journal.write({ kind: 'call', group, call: { ...base, returnedAt: now(), output } })
      for (const [index, step] of (output.succeeded ? bare.success : bare.failure).entries()) {
        const { kv } = output.results[index] ?? {}
        if (kv !== undefined) this.#modRevisions.set(step.key, kv?.modRevision ?? 0)
      }
    } catch (error) {
      const values = bare.success.flatMap((step) => (step.type === 'put' ? [step.value] : []))
      const changes = bare.success.some(({ type }) => type !== 'get')
      if (isEtcdError(error) && changes && error.effect === 'none') {
        journal.write({ kind: 'none', values, code: error.code })
      } else if (changes) {
        journal.write({ kind: 'call', group, call: { ...base, returnedAt: null, output: null } })
      }
      throw error
    }
  }

  async #make({ compares, success, failure }: Bare): Promise<NonNullable<RecordedCall['output']>> {
    const { etcd } = this.#place
    const [step] = success
    if (compares.length > 0) {
      const conditions = compares.map((compare) => key(compare.key).modRevision.equals(Number(compare.operand)))
      const txn = etcd
        .txn()
        .if(...conditions)
        .then(...success.map(operation))
        .else(...failure.map(operation))
      const { revision, succeeded, responses } = await txn.commit()
      const results = (succeeded ? success : failure).map((each, index) => resultOf(each, responses[index]))
      return { revision, succeeded, results }
    }
    if (step?.type === 'put') {
      const { revision } = await etcd.put(step.key, step.value)
      return { revision, succeeded: true, results: [{}] }
    }
    if (step?.type === 'delete') {
      const { revision, deleted } = await etcd.delete(step.key)
      return { revision, succeeded: true, results: [{ deleted }] }
    }
    const { revision, kvs } = await etcd.range({ key: step?.key ?? '' }, { mode: 'linearizable' })
    return { revision, succeeded: true, results: [{ kv: seen(kvs[0]) }] }
  }
}

function operation(step: RecordedStep) {
  if (step.type === 'delete') return deleteKey(step.key)
  return step.type === 'put' ? put(step.key, step.value) : range({ key: step.key })
}

function resultOf({ type }: RecordedStep, response: unknown): StepResult {
  if (type === 'put') return {}
  if (type === 'delete') return { deleted: (response as { readonly deleted: number }).deleted }
  const { kvs } = response as { readonly kvs: readonly Parameters<typeof seen>[0][] }
  return { kv: seen(kvs[0]) }
}

function seen(
  kv: (SeenKey & { readonly valueText?: string }) | { readonly valueText: string } | undefined,
): SeenKey | null {
  if (kv === undefined) return null
  const { valueText = '', createRevision, modRevision, version } = kv as SeenKey & { readonly valueText?: string }
  return { value: valueText, createRevision, modRevision, version }
}
