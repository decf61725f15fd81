import { EventEmitter } from 'node:events'
import { types } from 'node:util'

type Callable = (...args: unknown[]) => unknown

/** A function of a subject. */
export interface Found {
  readonly name: string
  readonly isClass: boolean
  /** Calls it on the subject, or constructs with it. */
  readonly call: Callable
}

/** Every function of an object, of its class and of the classes above, or of a module. */
export function functionsOf(target: object): readonly Found[] {
  const found = new Map<string, Found>()
  for (const holder of holdersOf(target)) {
    for (const key of Reflect.ownKeys(holder)) {
      const value = Reflect.getOwnPropertyDescriptor(holder, key)?.value
      const name = String(key)
      if (typeof value !== 'function' || key === 'constructor' || found.has(name)) continue
      found.set(name, foundFunction(name, value, target))
    }
  }
  return [...found.values()]
}

/** The classes whose instances `value` is, or holds in its properties, other than those of the platform. */
export function prototypesIn(value: unknown): readonly object[] {
  if (!isObject(value) || types.isPromise(value) || types.isProxy(value)) return []
  const parts = Object.values(Object.getOwnPropertyDescriptors(value)).map((property) => property.value)
  const getters = Object.values(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(value) ?? {}))
  const read = getters.flatMap(({ get }) => (get === undefined ? [] : [get.call(value)]))
  return [value, ...parts, ...read].flatMap((part) => (isObject(part) ? ownPrototype(part) : []))
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function ownPrototype(value: object): readonly object[] {
  if (types.isProxy(value)) return []
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || !isOwnClass(prototype.constructor) ? [] : [prototype]
}

/** A class with a source is not the platform's, apart from those that Node writes in JavaScript. */
function isOwnClass(type: unknown): boolean {
  if (typeof type !== 'function' || !isClass(type)) return false
  return Reflect.get(globalThis, type.name) !== type
}

function isClass(value: object): boolean {
  return Function.prototype.toString.call(value).startsWith('class')
}

function foundFunction(name: string, value: Callable, target: object): Found {
  const constructed = isClass(value)
  const call: Callable = constructed
    ? (...args) => Reflect.construct(value, args)
    : (...args) => value.apply(target, args)
  return { name, isClass: constructed, call }
}

/** Classes of the platform, whose functions are not this library's. */
const platform: readonly unknown[] = [Function.prototype, Object.prototype, EventEmitter.prototype, null]

/** An object, its class and the classes above. */
export function holdersOf(target: object): readonly object[] {
  const holders: object[] = []
  for (let holder = target; !platform.includes(holder); holder = Object.getPrototypeOf(holder)) holders.push(holder)
  return holders
}
