import { hexId, nonNegativeInteger } from '../../core/validate.js'
import type { Compare, CompareResult, RequestOp } from '../../protobuf/generated/messages.js'
import { parseLine } from '../arguments.js'
import { UsageError } from '../usage-error.js'
import { goUnquote } from '../wire/go-quote.js'
import { delCommand, deleteRequestOf } from './del.js'
import { getCommand, rangeRequestOf } from './get.js'
import { putCommand, putRequestOf } from './put.js'

/** The properties that can be compared, by their names in etcdctl. */
const targets: Readonly<Record<string, (value: Buffer) => Compare>> = {
  ver: (value) => ({ target: 'VERSION', version: integerOf(value) }),
  version: (value) => ({ target: 'VERSION', version: integerOf(value) }),
  c: (value) => ({ target: 'CREATE', createRevision: integerOf(value) }),
  create: (value) => ({ target: 'CREATE', createRevision: integerOf(value) }),
  m: (value) => ({ target: 'MOD', modRevision: integerOf(value) }),
  mod: (value) => ({ target: 'MOD', modRevision: integerOf(value) }),
  val: (value) => ({ target: 'VALUE', value }),
  value: (value) => ({ target: 'VALUE', value }),
  lease: (value) => ({ target: 'LEASE', lease: hexId('lease', value.toString()) }),
}

const operators: Readonly<Record<string, CompareResult>> = {
  '=': 'EQUAL',
  '!=': 'NOT_EQUAL',
  '>': 'GREATER',
  '<': 'LESS',
}

const literal = String.raw`"((?:[^"\\]|\\.)*)"`
const comparison = new RegExp(String.raw`^(\w+)\(\s*${literal}\s*\)\s*([=!<>~]+)\s*${literal}\s*$`, 's')

/** Parses a comparison such as `mod("key") > "7"`. Throws `UsageError`. */
export function parseComparison(line: string): Compare {
  const [, target = '', name, operator = '', operand] = comparison.exec(line.trim()) ?? []
  const [key, value] = [name, operand].map((inside) => (inside === undefined ? undefined : goUnquote(inside)))
  if (key === undefined || value === undefined) throw malformed(line, 'expected TARGET("KEY") OPERATOR "VALUE"')
  const compared = targets[target]
  if (compared === undefined) throw malformed(line, `TARGET must be one of ${Object.keys(targets).join(', ')}`)
  const result = operators[operator]
  if (result === undefined) throw malformed(line, `OPERATOR must be one of ${Object.keys(operators).join(', ')}`)
  return { ...inLine(line, () => compared(value)), key, result }
}

function integerOf(value: Buffer): number {
  const text = value.toString()
  return nonNegativeInteger('VALUE', /^\d+$/.test(text) ? Number(text) : text)
}

/** Parses an operation such as `put key "a value" --lease 7f`. Throws `UsageError`. */
export function parseOperation(line: string): RequestOp {
  const { command, flags, args } = inLine(line, () => parseLine(wordsOf(line), [getCommand, putCommand, delCommand]))
  if (command === getCommand) return { requestRange: rangeRequestOf(args, flags) }
  if (command === delCommand) return { requestDeleteRange: deleteRequestOf(args, flags) }
  if (command !== putCommand) throw malformed(line, 'an operation begins with get, put or del')
  const [name = '', value] = args
  if (flags.ttl !== undefined) throw malformed(line, '--ttl is not possible in a transaction')
  if (value === undefined && flags['ignore-value'] === undefined) throw malformed(line, 'put needs a VALUE')
  return { requestPut: putRequestOf([name, value], flags) }
}

function wordsOf(line: string): string[] {
  const words = [...line.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s"']+)/g)]
  return words.map(([, double, single, bare]) => {
    if (double === undefined) return single ?? bare ?? ''
    const bytes = goUnquote(double)
    if (bytes === undefined) throw malformed(line, 'unknown escape in a string')
    return bytes.toString()
  })
}

/** Errors about a value of the line name the line. */
function inLine<Result>(line: string, read: () => Result): Result {
  try {
    return read()
  } catch (error) {
    throw malformed(line, error instanceof Error ? error.message.replaceAll('`', '') : String(error))
  }
}

function malformed(line: string, reason: string): UsageError {
  return new UsageError(`malformed line ${JSON.stringify(line)} of the transaction: ${reason}`)
}
