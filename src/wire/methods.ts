export { methods } from '../gen/methods.js'
export type { Method, MethodKind } from './method.js'
