/**
 * Somebody else has a key where ours was to be created: one with another lease, or one that is there although no attempt of
 * ours can have created it. Nothing of ours is there; another key, with another lease, may be.
 */
export class ForeignKeyError extends Error {
  override readonly name = 'ForeignKeyError'

  constructor(key: Uint8Array) {
    super(`the key ${Buffer.from(key).toString()} is another one's`)
  }
}
