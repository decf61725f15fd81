export { methods } from './generated/methods.js'
export type { Method, MethodKind } from './method.js'
