import fc from 'fast-check'

/** What a hostile argument throws when it is touched. Passing it on to the caller is right: it is the caller's own error. */
export class CallerError extends Error {
  constructor(touched: unknown) {
    super(`the caller's own error, from ${String(touched)}`)
  }
}

/** An argument, by a name for messages. A new one is made for each call, as a call may keep or change it. */
export interface Hostile {
  readonly name: string
  readonly make: () => unknown
}

/** Never valid, for no argument and no option. */
export const invalidEverywhere: readonly Hostile[] = [
  hostile('a symbol', () => Symbol('hostile')),
  hostile('NaN', () => Number.NaN),
  hostile('a promise', () => Promise.resolve('value')),
  hostile('a revoked proxy', revokedProxy),
  hostile('a proxy that throws', throwingProxy),
]

/** Values that break code which expects another type, or the usual kind of object. */
export const hostileValues: readonly Hostile[] = [
  ...invalidEverywhere,
  ...[
    undefined,
    null,
    true,
    -1,
    0,
    -0,
    1.5,
    2 ** 53,
    8_000_000,
    2 ** 31,
    Infinity,
    -Infinity,
    1e308,
    5n,
    2n ** 70n,
  ].map(constant),
  ...['', '\0', 'a\ud800', '__proto__', 'constructor', 'toString', '../..', '%00'].map(constant),
  hostile('a text of 100,000 characters', () => 'x'.repeat(100_000)),
  hostile('{}', () => ({})),
  hostile('an object without prototype', () => Object.create(null)),
  hostile('an own key __proto__', () => JSON.parse('{"__proto__":{"polluted":true},"constructor":{"polluted":true}}')),
  hostile('inherited options', () => Object.create({ signal: 5, timeoutMs: 'x', polluted: true })),
  hostile('a cycle', cycle),
  hostile('a deep array', deepArray),
  hostile('[]', () => []),
  hostile('[undefined]', () => [undefined]),
  hostile('a sparse array', () => new Array(3)),
  hostile('an array of symbols', () => [Symbol('hostile')]),
  hostile('a function', () => () => undefined),
  hostile('a function that throws', () => () => {
    throw new CallerError('a function')
  }),
  hostile('a function that rejects', () => async () => {
    throw new CallerError('an async function')
  }),
  hostile('a class', () => class Hostile {}),
  hostile('a date', () => new Date(Number.NaN)),
  hostile('a map', () => new Map([['timeoutMs', 5]])),
  hostile('a regular expression', () => /x/g),
  hostile('an error', () => new RangeError('hostile')),
  hostile('a boxed text', () => Object('text')),
  hostile('a rejected promise', rejectedPromise),
  hostile('a thenable that throws', () => ({
    get then() {
      throw new CallerError('then')
    },
  })),
  hostile('an object whose text throws', unprintable),
  hostile('getters that throw', throwingGetters),
  hostile('no bytes', () => new Uint8Array(0)),
  hostile('bytes', () => Uint8Array.of(0, 255, 128)),
  hostile('words of 16 bits', () => new Uint16Array(2)),
  hostile('a view', () => new DataView(new ArrayBuffer(4))),
  hostile('detached bytes', detachedBytes),
  hostile('shared bytes', () => new Uint8Array(new SharedArrayBuffer(4))),
  hostile('an aborted signal', () => AbortSignal.abort(new CallerError('a signal'))),
  hostile('an event target', () => new EventTarget()),
]

/** Any value, for runs with a seed. */
export const anyValue: fc.Arbitrary<Hostile> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...hostileValues) },
  {
    weight: 2,
    arbitrary: fc
      .anything({
        withBigInt: true,
        withBoxedValues: true,
        withDate: true,
        withMap: true,
        withSet: true,
        withNullPrototype: true,
        withObjectString: true,
        withSparseArray: true,
        withTypedArray: true,
        key: fc.oneof(fc.string(), fc.constantFrom('__proto__', 'prefix', 'from', 'to', 'key', 'signal', 'timeoutMs')),
      })
      .map((value) => hostile(fc.stringify(value), () => value)),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }).map((value) => hostile(JSON.stringify(value), () => value)) },
  { weight: 1, arbitrary: fc.double().map((value) => hostile(String(value), () => value)) },
)

export function hostile(name: string, make: () => unknown): Hostile {
  return { name, make }
}

function constant(value: unknown): Hostile {
  return hostile(typeof value === 'string' ? JSON.stringify(value) : `${typeof value} ${String(value)}`, () => value)
}

function throwing(name: string | symbol): never {
  throw new CallerError(String(name))
}

function throwingProxy(): object {
  const traps = Reflect.ownKeys(Reflect).filter((name) => typeof name === 'string' && name !== 'toString')
  return new Proxy({}, Object.fromEntries(traps.map((name) => [name, () => throwing(name)])))
}

function revokedProxy(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

function throwingGetters(): object {
  const names = ['signal', 'timeoutMs', 'prefix', 'key', 'from', 'endpoints', 'length', 'endpoint', 'decode']
  const getters = names.map((name) => [name, { enumerable: true, get: () => throwing(name) }] as const)
  return Object.defineProperties({}, Object.fromEntries(getters))
}

function unprintable(): object {
  return {
    toString: () => throwing('toString'),
    toJSON: () => throwing('toJSON'),
    valueOf: () => throwing('valueOf'),
    [Symbol.toPrimitive]: () => throwing('Symbol.toPrimitive'),
    [Symbol.for('nodejs.util.inspect.custom')]: () => throwing('inspect'),
  }
}

function rejectedPromise(): Promise<never> {
  const promise = Promise.reject(new CallerError('a promise'))
  promise.catch(() => {})
  return promise
}

function detachedBytes(): Uint8Array {
  const bytes = new Uint8Array(8)
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
  return bytes
}

function cycle(): object {
  const one: Record<string, unknown> = { endpoint: 'x' }
  one.self = one
  return one
}

function deepArray(): unknown[] {
  let nested: unknown[] = []
  for (let depth = 0; depth < 50_000; depth += 1) nested = [nested]
  return nested
}
