/**
 * Runs tests against deliberate faults of the library: each mutant must be caught.
 *
 *     npm run mutants                  all mutants
 *     npm run mutants -- token fence   those with `token` or `fence` in their name
 *     npm run mutants -- --chaos       half a minute of chaos for each, instead of the tests
 *
 * A mutant replaces text of one file while it is loaded, in the test's process and in those that it starts; no file changes.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { type Mutant, mutants, occurrences } from './mutants.js'

/** A test that failed. */
interface Failure {
  readonly file: string
  readonly title: string
  readonly reason: string
}

const root = join(import.meta.dirname, '../..')
const testTimeoutMs = 60_000

const { values: flags, positionals: wanted } = parseArgs({
  options: { chaos: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const chosen = mutants.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
for (const mutant of chosen) {
  const count = occurrences(mutant)
  if (count !== 1)
    throw new Error(`mutant '${mutant.name}': its text occurs ${count} times in ${mutant.file}, not once`)
}

// A test that fails without a mutant proves nothing.
const unreliable = new Set<string>()
if (!flags.chaos) await findUnreliable()
console.log('| mutant | file | caught by |\n| --- | --- | --- |')
const survivors: string[] = []
for (const mutant of chosen) {
  const [first, ...more] = flags.chaos ? await brokenBy(mutant) : (await caughtBy(mutant)).map(textOf)
  if (first === undefined) survivors.push(mutant.name)
  const others = more.length === 0 ? '' : ` (and ${more.length} more)`
  const caught = first === undefined ? '**nothing**' : `${first}${others}`
  console.log(`| ${mutant.name} | ${mutant.file} | ${caught} |`)
}
console.log(`\n${chosen.length - survivors.length} of ${chosen.length} mutants were caught`)
process.exitCode = survivors.length === 0 ? 0 : 1

async function findUnreliable(): Promise<void> {
  const files = filesOf(chosen.flatMap(({ tests }) => tests))
  for (const failure of await runTests(files, undefined, availableParallelism())) {
    unreliable.add(textOf(failure))
    console.log(`fails without a mutant, and is not counted: ${textOf(failure)}: ${failure.reason}`)
  }
}

/** The checkers of a chaos run that find a mutant. */
async function brokenBy(mutant: Mutant): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-mutant-'))
  const child = spawn('npm', ['run', '--silent', 'chaos', '--', '--minutes', '0.5', '--seed', '1', '--auth'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, TMPDIR: folder, ETCDKIT_MUTANT: JSON.stringify(mutant) },
  })
  let output = ''
  for await (const bytes of child.stdout) output += bytes
  rmSync(folder, { recursive: true, force: true })
  const broken = output.split('\n').flatMap((line) => /^BROKEN: (.*)/.exec(line)?.[1] ?? [])
  return broken.length > 0 || /^holds: /m.test(output) ? broken : ['a run that does not end']
}

/** The tests that fail on a mutant: those of the first file that has any. */
async function caughtBy(mutant: Mutant): Promise<readonly Failure[]> {
  for (const file of filesOf(mutant.tests)) {
    const failed = (await runTests([file], mutant, 1)).filter((failure) => !unreliable.has(textOf(failure)))
    if (failed.length > 0) return failed
  }
  return []
}

/** The test files whose path contains one of the parts, in the order of the parts. */
function filesOf(parts: readonly string[]): readonly string[] {
  const all = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .map((name) => join('test', name))
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
  const files = parts.flatMap((part) => {
    const found = all.filter((name) => name.includes(join('test', part)))
    if (found.length === 0) throw new Error(`no test file has ${part} in its path`)
    return found
  })
  return [...new Set(files)]
}

function textOf({ file, title }: Failure): string {
  return `${relative(join(root, 'test'), file)}: ${title}`
}

/** Returns the tests that fail. */
async function runTests(
  files: readonly string[],
  mutant: Mutant | undefined,
  concurrency: number,
): Promise<readonly Failure[]> {
  const imports = ['./test/support/typescript.js', './test/support/transport.ts'].flatMap((file) => ['--import', file])
  const options = ['--test', `--test-concurrency=${concurrency}`, `--test-timeout=${testTimeoutMs}`]
  const reporter = `--test-reporter=${join(root, 'test/mutants/failures-reporter.js')}`
  const child = spawn(process.execPath, [...imports, ...options, reporter, ...files], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, ...(mutant === undefined ? {} : { ETCDKIT_MUTANT: JSON.stringify(mutant) }) },
  })
  let output = ''
  for await (const bytes of child.stdout) output += bytes
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}
