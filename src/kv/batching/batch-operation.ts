import {
  readDeleteRangeResponse,
  readPutResponse,
  readRangeResponse,
  readResponseHeader,
} from '../../protobuf/generated/codecs.js'
import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  ResponseHeader,
} from '../../protobuf/generated/messages.js'
import { decoder } from '../../protobuf/method.js'
import { type Method, methods } from '../../protobuf/methods.js'
import { protocolError } from '../../protobuf/protocol-error.js'
import type { Reader } from '../../protobuf/reader.js'
import { copyRange } from '../copy-range.js'

/** A request that is encoded already. */
export interface EncodedOperation {
  readonly message: Buffer
}

/** The response to one operation. Within a transaction its header has nothing but the revision. */
export interface OperationResponse {
  header: ResponseHeader | undefined
}

/** The responses to the operations of a batch, in their order. */
export interface BatchResponse<Response> {
  readonly header: ResponseHeader | undefined
  readonly responses: readonly Response[]
  /** The size of each response in bytes. */
  readonly sizes: readonly number[]
}

/** How calls of one RPC become the operations of one transaction. */
export interface BatchOperation<Request, Response> {
  /** The RPC of one call. */
  readonly method: Method<Request, Response>
  /** `KV.Txn` for requests of that RPC that are encoded already, without comparisons. */
  readonly txn: Method<readonly EncodedOperation[], BatchResponse<Response>>
  /** The same response for another caller, who may change it. */
  readonly copy: (response: Response) => Response
}

/** The tags of `TxnRequest.success`, and of the fields of a `TxnResponse`. */
const successTag = 18
const headerTag = 10
const responseTag = 26

// Each tag is that of the request in a `RequestOp`, and that of the response in a `ResponseOp`.
export const rangeOperation: BatchOperation<RangeRequest, RangeResponse> = {
  method: methods.KV.Range,
  txn: txnOf(10, readRangeResponse),
  copy: copyRange,
}
export const putOperation: BatchOperation<PutRequest, PutResponse> = {
  method: methods.KV.Put,
  txn: txnOf(18, readPutResponse),
  copy: (response) => response,
}
export const deleteOperation: BatchOperation<DeleteRangeRequest, DeleteRangeResponse> = {
  method: methods.KV.DeleteRange,
  txn: txnOf(26, readDeleteRangeResponse),
  copy: (response) => response,
}

type ReadResponse<Response> = (reader: Reader, end: number) => Response

function txnOf<Response extends OperationResponse>(
  tag: number,
  read: ReadResponse<Response>,
): BatchOperation<unknown, Response>['txn'] {
  const { Txn } = methods.KV
  return {
    ...Txn,
    encode: (operations) => encodeBatch(tag, operations),
    decode: decoder(Txn.name, (reader, end) => readBatch(tag, read, reader, end)),
  }
}

/** The bytes that an operation takes in a batch. */
export function operationBytes({ message }: EncodedOperation): number {
  const inner = 1 + lengthBytes(message.length) + message.length
  return 1 + lengthBytes(inner) + inner
}

function encodeBatch(tag: number, operations: readonly EncodedOperation[]): Buffer {
  let bytes = 0
  for (const operation of operations) bytes += operationBytes(operation)
  const buffer = Buffer.allocUnsafeSlow(bytes)
  let pos = 0
  for (const { message } of operations) {
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

function readBatch<Response extends OperationResponse>(
  operationTag: number,
  read: ReadResponse<Response>,
  reader: Reader,
  end: number,
): BatchResponse<Response> {
  let header: ResponseHeader | undefined
  const responses: Response[] = []
  const sizes: number[] = []
  while (reader.pos < end) {
    const tag = reader.tag()
    if (tag === headerTag) header = readResponseHeader(reader, reader.begin())
    else if (tag === responseTag) {
      const responseEnd = reader.begin()
      sizes.push(responseEnd - reader.pos)
      if (reader.tag() !== operationTag)
        throw protocolError('an operation of a transaction has no response of its kind')
      responses.push(read(reader, reader.begin()))
      reader.finish(responseEnd)
    } else reader.skip(tag)
  }
  for (const response of responses) response.header = header
  return { header, responses, sizes }
}
