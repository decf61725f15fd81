import type { ComparatorBuilder } from './builders/comparator-builder.js'
import type { MultiRangeBuilder } from './builders/multi-range-builder.js'
import type { PutBuilder } from './builders/put-builder.js'
import type { SingleRangeBuilder } from './builders/single-range-builder.js'
import type { Lease } from './lease.js'
import type { WatchBuilder } from './watch.js'

/** What an election uses of the namespace that holds its keys. */
export interface ElectionKeys {
  readonly prefix: Buffer
  get(key: string): SingleRangeBuilder
  getAll(): MultiRangeBuilder
  put(key: string): PutBuilder
  if(key: string, column: 'Create', cmp: '==', value: string | number): ComparatorBuilder
  watch(): WatchBuilder
  lease(ttl: number): Lease
  namespace(prefix: string): ElectionKeys
}
