/** A map that evicts the least recently used entry when it is full. */
export { LRUCache } from 'lru-cache'
