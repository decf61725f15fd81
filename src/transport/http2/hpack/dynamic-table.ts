import { fieldBytes, type HeaderField } from './header-field.js'

/** The number of evicted entries that stay in the array, since removing each one would move all others. */
const maxSlack = 64

/** The dynamic table: RFC 7541, section 2.3.2. The newest field has the number 0, and the oldest is evicted first. */
export class DynamicTable {
  #fields: HeaderField[] = []
  /** The index of the oldest field in `#fields`; the newest is last. */
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

  /** Increases with every change of the table. */
  get changes(): number {
    return this.#changes
  }

  at(number: number): HeaderField | undefined {
    return number < this.size ? this.#fields[this.#fields.length - 1 - number] : undefined
  }

  /** The number of the newest field that `isWanted`; negative if there is none. */
  find(isWanted: (field: HeaderField) => boolean): number {
    const at = this.#fields.findLastIndex((field, index) => index >= this.#oldest && isWanted(field))
    return at < 0 ? -1 : this.#fields.length - 1 - at
  }

  /** Adds a field. A field that is larger than the table empties it, and is not added. */
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
