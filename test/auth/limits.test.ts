import assert from 'node:assert/strict'
import { test } from 'node:test'
import { someName } from '../../src/auth/auth-call.js'
import { Users } from '../../src/auth/users.js'

test('A password has at most 72 bytes, of which members would cut the others off, and errors do not show it', async () => {
  let sent = 0
  const users = new Users((async () => (sent += 1)) as never)
  await users.add('name', 'é'.repeat(36))
  assert.equal(sent, 1)
  const tooLong = 'é'.repeat(36).concat('x')
  await assert.rejects(users.add('name', tooLong), { code: 'INVALID_ARGUMENT', message: /^[^é]*got 73$/ })
  assert.equal(sent, 1)
})

test('The name of a user or role has at most 32768 bytes, which the database allows for a key', () => {
  const longest = 'é'.repeat(16_384)
  assert.equal(someName('name', longest), longest)
  assert.throws(() => someName('name', `${longest}x`), { code: 'INVALID_ARGUMENT', message: /got 32769/ })
})
