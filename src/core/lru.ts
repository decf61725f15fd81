/** A map that drops what was used longest ago when it is full. */
export { LRUCache } from 'lru-cache'
