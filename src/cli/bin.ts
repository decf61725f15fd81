#!/usr/bin/env node
import { Interrupted } from './failure.js'
import { main } from './main.js'
import { outputError } from './reader-gone.js'

const ending = new AbortController()

// The second signal has its default effect and ends the process without an orderly shutdown.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => ending.abort(new Interrupted(signal)))
}
process.stdout.on('error', (error) => ending.abort(outputError(error)))
// Nobody reads the messages any more, which changes no exit status.
process.stderr.on('error', () => {})
process.removeAllListeners('warning')
process.on('warning', ({ name, message }) => {
  // Deprecation warnings are for developers, not for users of the program.
  if (name !== 'DeprecationWarning') process.stderr.write(`${name}: ${message}\n`)
})

const { env, stdin, stdout, stderr } = process
// The build is CommonJS, which has no `await` here.
void main(process.argv.slice(2), { env, stdin, stdout, stderr, signal: ending.signal }).then((code) => {
  process.exitCode = code
})
