import { optionalBoolean } from '../../core/validate.js'
import { type CallOptions, checkedOptions } from '../call-options.js'
import type { KeyPrefix } from '../key-prefix.js'
import type { IRangeRequest, IRequestOp } from '../rpc/kv-messages.js'
import { toInteger } from '../rpc/request.js'
import type { IOperation } from './operation.js'
import { PromiseWrap } from './promise-wrap.js'

/** What reads of one key and of many have in common. */
export abstract class RangeBuilder<T> extends PromiseWrap<T> implements IOperation {
  protected request: IRangeRequest = {}
  protected callOptions: CallOptions | undefined
  protected readonly namespace: KeyPrefix

  constructor(namespace: KeyPrefix) {
    super()
    this.namespace = namespace
  }

  /** Reads the keys as they were at this revision. */
  revision(rev: number | string): this {
    this.request.revision = toInteger('revision', rev)
    return this
  }

  /** Allows a member to answer from its own state, which may be stale. */
  serializable(serializable: boolean): this {
    this.request.serializable = optionalBoolean('serializable', serializable)
    return this
  }

  /** Leaves out keys that were written last before this revision. */
  minModRevision(minModRevision: number | string): this {
    this.request.min_mod_revision = toInteger('minModRevision', minModRevision)
    return this
  }

  /** Leaves out keys that were written last after this revision. */
  maxModRevision(maxModRevision: number | string): this {
    this.request.max_mod_revision = toInteger('maxModRevision', maxModRevision)
    return this
  }

  /** Leaves out keys that were created before this revision. */
  minCreateRevision(minCreateRevision: number | string): this {
    this.request.min_create_revision = toInteger('minCreateRevision', minCreateRevision)
    return this
  }

  /** Leaves out keys that were created after this revision. */
  maxCreateRevision(maxCreateRevision: number | string): this {
    this.request.max_create_revision = toInteger('maxCreateRevision', maxCreateRevision)
    return this
  }

  /** Sets the options of the call. */
  options(options: CallOptions | undefined): this {
    this.callOptions = checkedOptions(options)
    return this
  }

  /** The read as a part of a transaction. */
  op(): Promise<IRequestOp> {
    return Promise.resolve({ request_range: this.namespace.addTo(this.request) })
  }
}
