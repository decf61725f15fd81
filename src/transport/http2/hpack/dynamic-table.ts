import { fieldBytes, type HeaderField } from './header-field.js'

/** Entries that have left the table and are still in its array: removing them one by one would move all others each time. */
const maxSlack = 64

/** The fields that both sides remember: RFC 7541, section 2.3.2. The newest has the number 0, the oldest leave first. */
export class DynamicTable {
  #fields: HeaderField[] = []
  /** Where the oldest field is in `#fields`; the newest is last. */
  #oldest = 0
  #bytes = 0
  #maxBytes: number
  #changes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get maxBytes(): number {
    return this.#maxBytes
  }

  get size(): number {
    return this.#fields.length - this.#oldest
  }

  /** Grows with every change: what was found out while it stays the same is still true. */
  get changes(): number {
    return this.#changes
  }

  at(number: number): HeaderField | undefined {
    return number < this.size ? this.#fields[this.#fields.length - 1 - number] : undefined
  }

  /** The number of the newest field that `isWanted`; below zero for none. */
  find(isWanted: (field: HeaderField) => boolean): number {
    const at = this.#fields.findLastIndex((field, index) => index >= this.#oldest && isWanted(field))
    return at < 0 ? -1 : this.#fields.length - 1 - at
  }

  /** Adds a field. One that is larger than the whole table empties it and is not in it then. */
  add(field: HeaderField): void {
    const bytes = fieldBytes(field[0], field[1])
    this.#changes += 1
    this.#evict(this.#maxBytes - bytes)
    if (bytes > this.#maxBytes) return
    this.#fields.push(field)
    this.#bytes += bytes
  }

  resize(maxBytes: number): void {
    this.#changes += 1
    this.#maxBytes = maxBytes
    this.#evict(maxBytes)
  }

  #evict(maxBytes: number): void {
    while (this.#bytes > maxBytes && this.size > 0) {
      const [name, value] = this.#fields[this.#oldest] ?? ['', '']
      this.#bytes -= fieldBytes(name, value)
      this.#oldest += 1
    }
    if (this.#oldest < maxSlack) return
    this.#fields = this.#fields.slice(this.#oldest)
    this.#oldest = 0
  }
}
