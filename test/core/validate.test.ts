import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { InvalidArgumentError } from '../../src/core/errors.js'
import {
  assertKnownOptions,
  describe as described,
  durationMs,
  keyBytes,
  nonNegativeInteger,
  oneOf,
  optionalSignal,
  positiveInteger,
} from '../../src/core/validate.js'

function message(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof InvalidArgumentError && error instanceof TypeError)
    return error.message
  }
  assert.fail('it was accepted')
}

describe('assertKnownOptions', () => {
  const known = ['timeoutMs', 'connectTimeoutMs', 'keepaliveMs', 'keepaliveTimeoutMs', 'signal', 'limit', 'prevKv']
  const refusal = (options: unknown, names = known) =>
    message(() => assertKnownOptions('get()', options as object, names))

  test('accepts known options, set or not, and none', () => {
    assertKnownOptions('get()', { timeoutMs: 1, signal: undefined }, known)
    assertKnownOptions('get()', {}, known)
    assertKnownOptions('get()', Object.create(null), known)
  })

  test('names the option that was probably meant', () => {
    const slips = [
      ['timeout', 'timeoutMs'],
      ['timeoutMS', 'timeoutMs'],
      ['timoutMs', 'timeoutMs'],
      ['connectTimeout', 'connectTimeoutMs'],
      ['keepalive', 'keepaliveMs'],
      ['keepaliveTimeOutMs', 'keepaliveTimeoutMs'],
      ['Limit', 'limit'],
      ['limits', 'limit'],
      ['prev', 'prevKv'],
      ['prevKV', 'prevKv'],
    ]
    for (const [slip = '', meant] of slips) {
      assert.equal(refusal({ [slip]: 1 }), `unknown option \`${slip}\` of get(): did you mean \`${meant}\`?`)
    }
  })

  test('explains where ranges and codecs go that other clients have as options', () => {
    assert.match(
      refusal({ prefix: true }),
      /unknown option `prefix` of get\(\): a range is the first argument, as in range\(/,
    )
    assert.match(refusal({ codec: {} }), /values are read by kv\.as\(codec\), and written as codec\.encode\(value\)$/)
  })

  test('names the most similar option, in any order', () => {
    for (const names of [
      ['sort', 'port'],
      ['port', 'sort'],
    ]) {
      assert.match(refusal({ sorts: 1 }, names), /did you mean `sort`\?$/)
    }
  })

  test('lists the known options if none is similar', () => {
    for (const name of ['colour', 'xy', '', '__proto_']) {
      const options = { [name]: 1 }
      assert.equal(refusal(options, ['to', 'limit']), `unknown option \`${name}\` of get(): known are to, limit`)
    }
  })

  test('shows only the beginning of a long name', () => {
    const text = refusal({ ['x'.repeat(10_000)]: 1 }, ['limit'])
    assert.equal(text, `unknown option \`${'x'.repeat(59)}…\` of get(): known are limit`)
  })

  test('rejects an unknown option even if it is undefined', () => {
    assert.match(refusal({ timeout: undefined }), /unknown option `timeout`/)
  })

  test('checks own properties only', () => {
    assertKnownOptions('get()', Object.create({ inherited: 1 }, { limit: { value: 1, enumerable: true } }), known)
  })

  test('is not misled by the names of Object.prototype', () => {
    assert.match(refusal({ constructor: 1 }), /unknown option `constructor`/)
    assert.match(refusal(JSON.parse('{"__proto__":1}')), /unknown option `__proto__`/)
  })

  test('rejects values that are not objects', () => {
    assert.equal(refusal(null), 'options of get() must be an object, got null')
    assert.equal(refusal([]), 'options of get() must be an object, got an array')
    assert.equal(refusal('limit'), 'options of get() must be an object, got "limit"')
    assert.equal(
      refusal(() => {}),
      'options of get() must be an object, got a function: there are no callbacks, await the result',
    )
  })
})

describe('options that cannot be read', () => {
  const refused = (value: unknown) =>
    message(() => assertKnownOptions('get()', value as object, ['signal', 'timeoutMs']))

  test('are rejected: each of them would count as no options', () => {
    for (const value of [
      Promise.resolve(),
      new Date(),
      new Map([['timeoutMs', 1]]),
      new WeakSet(),
      /x/,
      new EventTarget(),
    ]) {
      assert.equal(refused(value), `options of get() must be an object, got ${described(value)}`)
    }
    const { signal } = new AbortController()
    assert.equal(refused(signal), 'options of get() must be an object, got an AbortSignal: pass { signal }')
  })

  test('are not instances of classes, modules or controllers, which may have them', () => {
    class Options {
      readonly timeoutMs = 1
    }
    for (const value of [new Options(), new AbortController(), runInNewContext('({ timeoutMs: 1 })')]) {
      assertKnownOptions('get()', value, ['signal', 'timeoutMs'])
    }
  })

  test('include revoked proxies, which throw whatever is done with them', () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    assert.equal(refused(proxy), 'options of get() must be an object, got a revoked proxy')
    assert.equal(
      message(() => optionalSignal('signal', proxy)),
      '`signal` must be an AbortSignal, got a revoked proxy',
    )
    assert.equal(
      message(() => keyBytes('key', proxy)),
      '`key` must be a string or bytes, got a revoked proxy',
    )
  })
})

describe('numbers', () => {
  const notNumbers: readonly (readonly [value: unknown, shown: string])[] = [
    [undefined, 'undefined'],
    [null, 'null'],
    ['1', '"1"'],
    [1n, '1n'],
    [Number.NaN, 'NaN'],
    [true, 'true'],
    [{ valueOf: () => 1 }, 'an object'],
    [Object(1), 'an object'],
    [-1, '-1'],
  ]
  const notWhole: readonly (readonly [value: unknown, shown: string])[] = [
    [1.5, '1.5'],
    [2 ** 53, '9007199254740992'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
  ]

  test('positiveInteger takes 1 to 2^53 - 1', () => {
    for (const value of [1, 2379, Number.MAX_SAFE_INTEGER]) assert.equal(positiveInteger('n', value), value)
    for (const [value, shown] of [...notNumbers, ...notWhole, [0, '0'] as const, [-0, '0'] as const]) {
      const expected = `\`n\` must be a whole number of at least 1, got ${shown}`
      assert.equal(
        message(() => positiveInteger('n', value)),
        expected,
      )
    }
  })

  test('nonNegativeInteger takes 0 to 2^53 - 1', () => {
    for (const value of [0, 1, Number.MAX_SAFE_INTEGER]) assert.equal(nonNegativeInteger('n', value), value)
    for (const [value, shown] of [...notNumbers, ...notWhole]) {
      const expected = `\`n\` must be a whole number of at least 0, got ${shown}`
      assert.equal(
        message(() => nonNegativeInteger('n', value)),
        expected,
      )
    }
  })

  test('durationMs takes 0 and more, fractions and Infinity', () => {
    for (const value of [0, 0.5, 10_000, Number.POSITIVE_INFINITY]) assert.equal(durationMs('n', value), value)
    for (const [value, shown] of notNumbers) {
      const expected = `\`n\` must be milliseconds, at least 0, or Infinity, got ${shown}`
      assert.equal(
        message(() => durationMs('n', value)),
        expected,
      )
    }
  })
})

describe('oneOf', () => {
  test('accepts only the allowed words', () => {
    const order = (value: unknown) => oneOf('order', value, ['ascend', 'descend', 'none'])
    assert.equal(order('descend'), 'descend')
    assert.equal(
      message(() => order('down')),
      "`order` must be 'ascend' or 'descend' or 'none', got \"down\"",
    )
    for (const value of [undefined, 0, ['none'], 'toString', 'None']) message(() => order(value))
  })
})

describe('optionalSignal', () => {
  test('accepts a signal or undefined', () => {
    const { signal } = new AbortController()
    assert.equal(optionalSignal('signal', signal), signal)
    assert.equal(optionalSignal('signal', undefined), undefined)
  })

  test('rejects everything else, also a controller', () => {
    for (const value of [null, new AbortController(), { aborted: false, addEventListener() {} }]) {
      assert.match(
        message(() => optionalSignal('signal', value)),
        /^`signal` must be an AbortSignal, got (null|an object)$/,
      )
    }
  })
})

describe('keyBytes', () => {
  test('encodes text as UTF-8', () => {
    assert.deepEqual(keyBytes('key', 'aä€😀\u0000'), Buffer.from('61c3a4e282acf09f988000', 'hex'))
    assert.equal(keyBytes('key', '').length, 0)
  })

  test('returns bytes without a copy', () => {
    const memory = new Uint8Array([0, 1, 255, 3])
    const view = keyBytes('key', memory.subarray(1, 3))
    assert.deepEqual(view, Buffer.of(1, 255))
    memory[1] = 7
    assert.equal(view[0], 7)
    const buffer = Buffer.of(1, 2)
    assert.equal(keyBytes('key', buffer), buffer)
    assert.equal(keyBytes('key', new Uint8Array()).length, 0)
  })

  test('accepts bytes of another realm', () => {
    assert.deepEqual(keyBytes('key', runInNewContext('Uint8Array.of(1, 2)')), Buffer.of(1, 2))
  })

  test('rejects text that UTF-8 would change', () => {
    for (const text of ['\ud83d', 'a\ude00b', '\ude00\ud83d']) {
      assert.equal(
        message(() => keyBytes('key', text)),
        '`key` must be well-formed text, got a string with a lone surrogate',
      )
    }
  })

  test('rejects everything else', () => {
    const others = [
      undefined,
      null,
      1,
      1n,
      true,
      [97],
      {},
      new ArrayBuffer(1),
      new Uint16Array(1),
      new DataView(new ArrayBuffer(1)),
    ]
    for (const value of others) {
      assert.equal(
        message(() => keyBytes('key', value)),
        `\`key\` must be a string or bytes, got ${described(value)}`,
      )
    }
  })
})

describe('bytes that were transferred to another thread', () => {
  test('are rejected: they look like no bytes', () => {
    for (const bytes of [new Uint8Array(8), Buffer.from(new ArrayBuffer(8))]) {
      structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] })
      assert.equal(
        message(() => keyBytes('value', bytes)),
        '`value` must be a string or bytes, got bytes of a detached buffer',
      )
    }
    assert.equal(keyBytes('value', new Uint8Array(0)).length, 0)
  })
})

describe('describe', () => {
  test('shows each kind of value', () => {
    const values: readonly (readonly [value: unknown, shown: string])[] = [
      ['x', '"x"'],
      ['a "b"\n', '"a \\"b\\"\\n"'],
      [1.5, '1.5'],
      [12n, '12n'],
      [true, 'true'],
      [undefined, 'undefined'],
      [null, 'null'],
      [Symbol('s'), 'Symbol(s)'],
      [[1], 'an array'],
      [{ password: 'secret' }, 'an object'],
      [Object.create(null), 'an object'],
      [new Uint8Array(3), 'bytes'],
      [Buffer.from('secret'), 'bytes'],
      [Promise.resolve(), 'a promise'],
      [function named() {}, 'a function'],
      [class {}, 'a function'],
    ]
    for (const [value, shown] of values) assert.equal(described(value), shown)
  })

  test('never takes more than 60 characters', () => {
    assert.equal(described('x'.repeat(58)), `"${'x'.repeat(58)}"`)
    assert.equal(described('x'.repeat(59)), `"${'x'.repeat(57)}…"`)
    for (const value of [
      '\u0000'.repeat(60),
      '\ud83d'.repeat(60),
      '"'.repeat(60),
      10n ** 100n,
      Symbol('s'.repeat(100)),
    ]) {
      assert.equal(described(value).length, 60)
    }
  })

  test('runs no code of the value', () => {
    const trap = () => assert.fail('code of the value was run')
    const value = new Proxy({}, { get: trap, getPrototypeOf: trap, ownKeys: trap, has: trap })
    assert.equal(described(value), 'an object')
    assert.equal(described({ toString: trap, toJSON: trap, valueOf: trap }), 'an object')
  })
})
