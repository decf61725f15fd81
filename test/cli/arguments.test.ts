import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { describe, test } from 'node:test'
import { parseLine } from '../../src/cli/arguments.js'
import { commands } from '../../src/cli/commands.js'
import { environmentWith } from '../../src/cli/global-flags.js'
import { cli } from './run-cli.js'

const parse = (...argv: string[]) => parseLine(argv, commands)

describe('A command line', () => {
  test('accepts flags before and after the command', () => {
    const { command, globals, flags, args } = parse('--endpoints', 'a:1', 'get', '--prefix', 'k', '-w', 'json')
    assert.equal(command?.name, 'get')
    assert.equal(globals.endpoints, 'a:1')
    assert.equal(globals['write-out'], 'json')
    assert.equal(flags.prefix, true)
    assert.deepEqual(args, ['k'])
  })

  test('names a command by two words', () => {
    const { command, args } = parse('snapshot', 'save', 'file')
    assert.equal(command?.name, 'snapshot save')
    assert.deepEqual(args, ['file'])
  })

  test('passes the flags of another program on', () => {
    const { flags, globals, args } = parse('lock', '--ttl', '5s', 'name', 'sh', '-c', 'exit 3', '--help', '--', 'x')
    assert.equal(flags.ttl, '5s')
    assert.equal(globals.help, undefined)
    assert.deepEqual(args, ['name', 'sh', '-c', 'exit 3', '--help', '--', 'x'])
    assert.deepEqual(parse('lock', 'name', '--ttl', '5s', '--', 'ls', '-l').args, ['name', 'ls', '-l'])
  })

  test('treats what follows two dashes as arguments', () => {
    assert.deepEqual(parse('put', '--', '--key', '-v').args, ['--key', '-v'])
  })

  for (const [argv, problem, input] of [
    [['get', 'k', '--rev', '-1'], /--rev needs =VALUE if the value begins with a dash/],
    [['get', 'k', '--endpoints', 'bogus://x'], /^error: --endpoints must be/],
    [['gte', 'k'], /unknown command gte: did you mean get\?/],
    [['snapshot', 'sav', 'x'], /unknown command snapshot sav: did you mean snapshot save\?/],
    [['get', 'k', '--prefx'], /unknown flag --prefx: did you mean --prefix\?/],
    [['get'], /too few arguments: usage: etcdkit get KEY \[END\]/],
    [['get', 'a', 'b', 'c'], /unexpected argument "c"/],
    [['get', 'a', '--limit'], /^error: --limit needs a value/],
    [['get', 'a', '--limit', 'many'], /--limit must be a whole number of at least 0, got "many"/],
    [['get', 'a', 'b', '--prefix'], /END, --prefix and --from-key are mutually exclusive/],
    [['get', ''], /KEY must not be empty/],
    [['get', 'a', '--consistency=x'], /--consistency must be l or s, got "x"/],
    [['get', 'a', '--dial-timeout', 'soon'], /--dial-timeout must be a duration such as 5s or 1m30s, got "soon"/],
    [['get', 'a', '-o', 'xml'], /--output must be one of simple, table, json, got "xml"/],
    [['get', 'a', '--endpoints', 'http://'], /endpoint/],
    [['put', 'a'], /put needs a VALUE, as an argument or on standard input/],
    [['put', 'a', 'b', '--ttl', '0s'], /--ttl must be at least one second/],
    [['put', 'a', 'b', '--lease', 'xyz!'], /^error: --lease must be/],
    [['get', 'a', '--user', 'root'], /--user has no password/],
    [['get', 'a', '--keepalive-time', '1ms'], /^error: --keepalive-time must be at least/],
    [['get', 'a', '--cacert', '/no/such/file'], /^error: --cacert cannot be read/],
    [['watch', 'a', '--rev', '0x1'], /^error: --rev must be/],
    [['lease', 'grant', 'soon'], /^error: TTL must be a duration/],
    [['lease', 'grant', '0'], /^error: TTL must be at least one second/],
    [['compact', 'now'], /^error: REVISION must be a whole number of at least 1, got "now"/],
    [['lock', '', 'true'], /^error: NAME must be a non-empty string/],
    [['elect', '', 'me'], /^error: NAME must be a non-empty string/],
    [['get', 'a', '-w'], /^error: --write-out needs a value/],
    [['put', 'a\u{fffd}', 'b'], /^error: argument "a\ufffd" is not UTF-8/],
    [['put', 'a'], /^error: standard input is empty/, ''],
    [['txn'], /^error: standard input ends before the empty line after compares/, ''],
    [['txn'], /^error: standard input ends before the empty line after success/, 'val("a") = "1"\n\nput a b\n'],
    [['txn'], /^error: standard input ends before the empty line after failure/, '\nput a b\n\ndel a'],
    [['txn'], /^error: line .* is not UTF-8/, Buffer.from('\nput a \xff\n\n\n', 'latin1')],
    [['snapshot', 'save', tmpdir()], /^error: FILE must be a regular file/],
    [['lease', 'revoke', 'xyz'], /^error: ID must be 1 to 16 hexadecimal digits/],
    [['member', 'add', 'm'], /^error: --peer-urls is missing/],
    [['downgrade', 'validate', 'x'], /^error: VERSION must be a release/],
    [['get', 'a', '--prefix=perhaps'], /^error: --prefix must be true or false, got "perhaps"/],
    ...[[], ['--prefix', 'a/', '--dest-prefix', 'a/b/'], ['--prefix', 'a/b/', '--dest-prefix', 'a/']].map(
      (flags) =>
        [
          ['make-mirror', 'http://a:1', '--endpoints', 'b:1,a:1', ...flags],
          /^error: DESTINATION has http:..a:1, as/,
        ] as const,
    ),
    [['make-mirror', 'http://'], /^error: DESTINATION must be http/],
    [['make-mirror', 'a:1', '--dest-cacert', '/no/such/file'], /^error: --dest-cacert cannot be read/],
    [['completion', 'tcsh'], /^error: the shell must be bash, zsh or fish/],
    [['doctor', '--html', '/no/such/folder/page.html'], /^error: --html cannot be written: ENOENT/],
    [['bench', 'put', '--html', '/'], /^error: --html cannot be written: .* is a folder/],
    [['bench', 'lock', '--html', ''], /^error: --html cannot be written: the path is empty/],
  ] as const) {
    test(`with an error is rejected with the reason and status 2: ${argv.join(' ')}`, async () => {
      const { status, stdout, stderr } = await cli(argv, input === undefined ? {} : { input })
      assert.match(stderr, problem)
      assert.deepEqual({ status, stdout }, { status: 2, stdout: '' })
    })
  }
})

describe('The help', () => {
  test('of the program lists every command', async () => {
    for (const argv of [[], ['--help'], ['help']]) {
      const { status, stdout } = await cli(argv)
      assert.equal(status, 0)
      for (const { name } of commands) assert.match(stdout, new RegExp(`^  ${name} `, 'm'))
    }
  })

  test('of each command lists its flags and the global flags', async () => {
    for (const { name, flags } of commands) {
      for (const argv of [
        [...name.split(' '), '--help'],
        ['help', ...name.split(' ')],
      ]) {
        const { status, stdout } = await cli(argv)
        assert.equal(status, 0)
        assert.ok(stdout.startsWith(`Usage: etcdkit ${name}`))
        for (const flag of [...Object.keys(flags), 'endpoints']) assert.ok(stdout.includes(`--${flag}`), flag)
      }
    }
  })

  test('of a group lists its commands', async () => {
    const { status, stdout } = await cli(['snapshot'])
    assert.equal(status, 0)
    assert.match(stdout, /^ {2}snapshot save /m)
    assert.doesNotMatch(stdout, /^ {2}get /m)
  })

  test('fits the width of a terminal', async () => {
    for (const { name } of commands) {
      const { stdout } = await cli(['help', ...name.split(' ')])
      for (const line of stdout.split('\n')) assert.ok(line.length <= 120, line)
    }
  })
})

test("The version is the package's version", async () => {
  const { version } = JSON.parse(await import('node:fs').then((fs) => fs.readFileSync('package.json', 'utf8')))
  assert.equal((await cli(['version'])).stdout, `${version}\n`)
  assert.equal((await cli(['--version'])).stdout, `${version}\n`)
})

test('An error about a variable names the variable', async () => {
  const { status, stderr } = await cli(['get', 'a'], { env: { ETCDCTL_KEEPALIVE_TIME: '1ms' } })
  assert.equal(status, 2)
  assert.match(stderr, /^error: ETCDCTL_KEEPALIVE_TIME must be at least/)
})

test('Boolean and short flags are accepted in the forms of Go', () => {
  assert.deepEqual({ ...parse('get', 'k', '--prefix=true', '-w=json').flags }, { prefix: true, 'write-out': 'json' })
  assert.equal(parse('get', 'k', '--prefix=false').flags.prefix, false)
  assert.deepEqual(parse('put', '--', 'k', '--prefix=false').args, ['k', '--prefix=false'])
})

test('An alias names the same command', () => {
  assert.equal(parse('compaction', '5').command, parse('compact', '5').command)
})

test('Flags override the environment variables', () => {
  const env = {
    ETCDCTL_ENDPOINTS: 'a',
    ETCDCTL_USER: 'u',
    ETCDCTL_PASSWORD: 'p',
    ETCDCTL_DISCOVERY_SRV: 'd',
    ETCDCTL_AUTH_JWT_TOKEN: 't',
  }
  const merged = environmentWith({ endpoints: 'b', user: 'system:master', 'dial-timeout': '1s' }, env)
  assert.deepEqual(
    Object.entries(merged).filter(([, value]) => value !== undefined),
    [
      ['ETCDCTL_ENDPOINTS', 'b'],
      ['ETCDCTL_USER', 'system:master'],
      ['ETCDCTL_PASSWORD', 'p'],
      ['ETCDCTL_DIAL_TIMEOUT', '1s'],
    ],
  )
})
