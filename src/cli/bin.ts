#!/usr/bin/env node
import { Interrupted } from './failure.js'
import { main } from './main.js'
import { isBrokenPipe, ReaderGone } from './reader-gone.js'

const ending = new AbortController()

// The second time the signal has its usual effect: whoever is in a hurry need not wait for the end in order.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => ending.abort(new Interrupted(signal)))
}
process.stdout.on('error', (error) => {
  if (!isBrokenPipe(error)) throw error
  ending.abort(new ReaderGone())
})
process.removeAllListeners('warning')
process.on('warning', ({ name, message }) => {
  // Those are for who writes programs, not for who uses them.
  if (name !== 'DeprecationWarning') process.stderr.write(`${name}: ${message}\n`)
})

const { env, stdin, stdout, stderr } = process
// The build is CommonJS, which has no `await` here.
void main(process.argv.slice(2), { env, stdin, stdout, stderr, signal: ending.signal }).then((code) => {
  process.exitCode = code
})
