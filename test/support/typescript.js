/**
 * Loads TypeScript in the processes of a test run: `--import ./test/support/typescript.js`. Compiled files are kept in
 * node_modules/.cache: each test file has a process of its own, and tsx takes half a second of CPU longer to start one.
 */
import assert from 'node:assert/strict'
import module from 'node:module'
import { load, resolve } from './typescript-hooks.js'

process.setSourceMapsEnabled(true)
if (module.registerHooks === undefined) module.register('./typescript-hooks.js', import.meta.url)
else module.registerHooks({ load, resolve })

/**
 * Node quotes the source of an assertion without a message. It looks it up at the position in the compiled file: it
 * quotes another line, and parses for long in a long file. The stack trace has the right line.
 */
assert.ok = function ok(value, message = `expected a truthy value, got ${value}`) {
  if (value) return
  if (message instanceof Error) throw message
  throw new assert.AssertionError({ message, actual: value, expected: true, operator: 'ok', stackStartFn: ok })
}
