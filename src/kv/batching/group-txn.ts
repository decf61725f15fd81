import {
  readDeleteRangeResponse,
  readPutResponse,
  readRangeResponse,
  readResponseHeader,
} from '../../protobuf/generated/codecs.js'
import type {
  DeleteRangeResponse,
  PutResponse,
  RangeResponse,
  ResponseHeader,
} from '../../protobuf/generated/messages.js'
import { decoder } from '../../protobuf/method.js'
import { type Method, methods } from '../../protobuf/methods.js'
import { protocolError } from '../../protobuf/protocol-error.js'
import type { Reader } from '../../protobuf/reader.js'

/** What an operation of a group is; the value is the tag of its request in a `RequestOp`, and of its answer. */
export const operationTag = { range: 10, put: 18, deleteRange: 26 } as const

/** One operation of a group: an encoded `RangeRequest`, `PutRequest` or `DeleteRangeRequest`. */
export interface GroupOperation {
  readonly tag: (typeof operationTag)[keyof typeof operationTag]
  readonly message: Buffer
}

/** The answer to one operation of a group. */
export type OperationAnswer = RangeResponse | PutResponse | DeleteRangeResponse

/** What a group of operations is answered with, in their order. */
export interface GroupAnswer {
  readonly header: ResponseHeader | undefined
  readonly answers: readonly OperationAnswer[]
  /** The size of each answer in bytes. */
  readonly sizes: readonly number[]
}

/** `KV.Txn` for operations that are encoded already, without comparisons, and its answer as those of single calls. */
export const groupTxn: Method<readonly GroupOperation[], GroupAnswer> = {
  ...methods.KV.Txn,
  encode: encodeGroup,
  decode: decoder(methods.KV.Txn.name, readGroup),
}

/** The tags of `TxnRequest.success`, and of the fields of a `TxnResponse`. */
const successTag = 18
const headerTag = 10
const responseTag = 26

/** The bytes that an operation takes in a group. */
export function operationBytes({ message }: GroupOperation): number {
  const inner = 1 + lengthBytes(message.length) + message.length
  return 1 + lengthBytes(inner) + inner
}

function encodeGroup(operations: readonly GroupOperation[]): Buffer {
  let bytes = 0
  for (const operation of operations) bytes += operationBytes(operation)
  const buffer = Buffer.allocUnsafeSlow(bytes)
  let pos = 0
  for (const { tag, message } of operations) {
    const { length } = message
    buffer[pos++] = successTag
    pos = writeLength(buffer, pos, 1 + lengthBytes(length) + length)
    buffer[pos++] = tag
    pos = writeLength(buffer, pos, length)
    buffer.set(message, pos)
    pos += length
  }
  return buffer
}

function lengthBytes(length: number): number {
  let bytes = 1
  for (let rest = length; rest > 0x7f; rest >>>= 7) bytes += 1
  return bytes
}

function writeLength(buffer: Buffer, start: number, length: number): number {
  let pos = start
  let rest = length
  while (rest > 0x7f) {
    buffer[pos++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  buffer[pos++] = rest
  return pos
}

function readGroup(reader: Reader, end: number): GroupAnswer {
  let header: ResponseHeader | undefined
  const answers: OperationAnswer[] = []
  const sizes: number[] = []
  while (reader.pos < end) {
    const tag = reader.tag()
    if (tag === headerTag) header = readResponseHeader(reader, reader.begin())
    else if (tag === responseTag) {
      const answerEnd = reader.begin()
      sizes.push(answerEnd - reader.pos)
      answers.push(readOperation(reader, answerEnd))
    } else reader.skip(tag)
  }
  // Those within a transaction have a header with nothing but the revision.
  for (const answer of answers) setHeader(answer, header)
  return { header, answers, sizes }
}

function setHeader(answer: { header: ResponseHeader | undefined }, header: ResponseHeader | undefined): void {
  answer.header = header
}

function readOperation(reader: Reader, end: number): OperationAnswer {
  const answer = readAnswer(reader, reader.tag())
  reader.finish(end)
  return answer
}

function readAnswer(reader: Reader, tag: number): OperationAnswer {
  switch (tag) {
    case operationTag.range:
      return readRangeResponse(reader, reader.begin())
    case operationTag.put:
      return readPutResponse(reader, reader.begin())
    case operationTag.deleteRange:
      return readDeleteRangeResponse(reader, reader.begin())
    default:
      throw protocolError('an operation of a transaction has no answer')
  }
}
