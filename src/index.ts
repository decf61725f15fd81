export { Etcd } from './client.js'
export { key, keys } from './kv/compare.js'
export { del, delRange, get, put, range } from './kv/operation.js'
export { txn } from './kv/txn.js'
