import { createInterface } from 'node:readline'
import { linearizableRequest } from '../../kv/txn.js'
import type { ResponseOp, TxnRequest, TxnResponse } from '../../protobuf/generated/messages.js'
import { methods } from '../../protobuf/methods.js'
import { type Context, defineCommand } from '../command.js'
import { keyValueLines } from '../key-value-format.js'
import { untilAborted } from '../standard-input.js'
import { UsageError } from '../usage-error.js'
import { checkUtf8 } from '../utf8.js'
import { unary } from '../wire/calls.js'
import { print } from '../wire/print.js'
import { parseComparison, parseOperation } from './txn-text.js'

/** Commits a transaction. */
export const txnCommand = defineCommand({
  name: 'txn',
  usage: '',
  summary: 'commit a transaction that is read from standard input',
  details: [
    'Reads three blocks, each ended by an empty line: comparisons, operations if all of them hold, operations otherwise.',
    'Comparison: TARGET("KEY") OPERATOR "VALUE" with the targets ver, create, mod, val, lease and the operators = != > <.',
    'Operation: get, put or del with their arguments and flags, for example put key "a value" --prev-kv.',
  ],
  flags: { interactive: { type: 'boolean', short: 'i', help: 'show what to enter next' } },
  arity: [0, 0],
  async run(context, { flags }) {
    const { client, output, signal } = context
    const isShown = flags.interactive ?? context.stdin.isTTY === true
    const request = await requestFrom(context, isShown)
    const sent = linearizableRequest(request)
    const response = await unary(client(), methods.KV.Txn, sent, { signal })
    // A transaction without operations is sent with an additional read, whose response is not part of the result.
    const message = sent === request ? response : { ...response, responses: [] }
    await print(output, { type: 'TxnResponse', message, text: textOf(message, output.hex) })
    return 0
  },
})

const blocks = ['compares:', 'success requests (get, put, del):', 'failure requests (get, put, del):'] as const

async function requestFrom({ stdin, signal, notes }: Context, isShown: boolean): Promise<TxnRequest> {
  const [compares, success, failure]: [string[], string[], string[]] = [[], [], []]
  const all = [compares, success, failure] as const
  let at = 0
  const show = (): void => {
    const block = blocks[at]
    if (isShown && block !== undefined) notes.line(block)
  }
  show()
  await untilAborted(stdin, signal, async () => {
    for await (const line of createInterface({ input: stdin })) {
      checkUtf8('line', line, 'write bytes as "\\xff"')
      if (line.trim() !== '') all[at]?.push(line)
      else {
        at += 1
        show()
      }
      if (at === all.length) break
    }
  })
  // A transaction that was cut off must not be committed. The last block may be left out.
  const isCut = at < 2 || (at === 2 && failure.length > 0)
  if (isCut) throw new UsageError(`standard input ends before the empty line after ${blocks[at]}`)
  return {
    compare: compares.map(parseComparison),
    success: success.map(parseOperation),
    failure: failure.map(parseOperation),
  }
}

function textOf({ succeeded, responses }: TxnResponse, hex: boolean): Buffer {
  const parts = responses.map((response) => Buffer.concat([Buffer.from('\n'), operationText(response, hex)]))
  return Buffer.concat([Buffer.from(succeeded ? 'SUCCESS\n' : 'FAILURE\n'), ...parts])
}

function operationText({ responseRange, responsePut, responseDeleteRange }: ResponseOp, hex: boolean): Buffer {
  if (responseRange !== undefined) return keyValueLines(responseRange.kvs, { hex })
  const [head, kvs] =
    responsePut === undefined
      ? [String(responseDeleteRange?.deleted ?? 0), responseDeleteRange?.prevKvs ?? []]
      : ['OK', responsePut.prevKv === undefined ? [] : [responsePut.prevKv]]
  return Buffer.concat([Buffer.from(`${head}\n`), keyValueLines(kvs, { hex })])
}
