import { Console } from 'node:console'
import type { Channel } from 'node:diagnostics_channel'
import { InvalidArgumentError } from '../core/errors.js'
import { isError, messageOf } from '../core/thrown.js'
import { describe } from '../core/validate.js'
import { channels } from './channels.js'
import { type LogLevel, type LogLine, logLines } from './log-lines.js'

/**
 * Receives what a client logs. pino and bunyan are loggers, and so is `console`, which gets the text alone. For a logger with other
 * arguments, pass an object that calls it.
 */
export interface Logger {
  /** Logs what explains the client's behavior in detail, such as a reconnect. */
  debug(fields: object, message: string): void
  /** Logs a normal event. */
  info(fields: object, message: string): void
  /** Logs a failure that the client handles. */
  warn(fields: object, message: string): void
  /** Logs a failure that the service must handle. */
  error(fields: object, message: string): void
}

/** The levels, from the most detailed one. */
export const logLevels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

/** What is logged, and where. */
export interface LogTarget {
  readonly logger: Logger
  /** The lowest level. */
  readonly level: LogLevel
  /** The client whose records are logged. */
  readonly clientId: number
  /** Whether slow calls are reported: without a limit there is nothing to subscribe to. */
  readonly reportsSlowCalls: boolean
}

/** Validates the option `logger`. */
export function checkLogger(logger: Logger): Logger {
  const missing = logLevels.find((level) => typeof (logger as Partial<Logger> | null)?.[level] !== 'function')
  if (missing === undefined) return logger
  throw new InvalidArgumentError(
    `\`logger\` must have the methods ${logLevels.join(', ')}, got ${describe(logger)} without ${missing}()`,
  )
}

/** Logs the events of one client. Returns a function that ends that. */
export function startLogging(target: LogTarget): () => void {
  const subscriptions = logLines.filter((line) => isWanted(line, target)).map((line) => subscribed(line, target))
  return () => {
    for (const [channel, listener] of subscriptions) channel.unsubscribe(listener)
  }
}

/** A subscription to attempts or slow calls makes the client measure each call. */
function isWanted({ channel, highest }: LogLine, { level, reportsSlowCalls }: LogTarget): boolean {
  return logLevels.indexOf(highest) >= logLevels.indexOf(level) && (channel !== channels.slow || reportsSlowCalls)
}

function subscribed(line: LogLine, target: LogTarget): readonly [Channel, (message: unknown) => void] {
  const listener = (message: unknown): void => {
    const entry = line.entry(message)
    if (entry === undefined || entry.record.client.id !== target.clientId) return
    if (logLevels.indexOf(entry.level) >= logLevels.indexOf(target.level)) write(target.logger, line, entry)
  }
  line.channel.subscribe(listener)
  return [line.channel, listener]
}

let hasWarned = false

/** A logger that throws must not end the process. */
function write(
  logger: Logger,
  { channel }: LogLine,
  { level, text, record }: NonNullable<ReturnType<LogLine['entry']>>,
): void {
  try {
    const message = `${record.client.name}: ${text}`
    if (logger instanceof Console) logger[level](message)
    else logger[level](fieldsOf(String(channel.name), record), message)
  } catch (error) {
    if (hasWarned) return
    hasWarned = true
    process.emitWarning(`the option \`logger\` threw: ${messageOf(error)}`, {
      type: 'EtcdkitWarning',
      code: 'ETCDKIT_LOGGER',
    })
  }
}

/** The plain fields of a record, and its error as `err`, by which pino and bunyan know errors. */
function fieldsOf(channel: string, record: object): object {
  const plain = Object.entries(record).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
  const { error, outcome } = record as { readonly error?: unknown; readonly outcome?: { readonly error?: unknown } }
  const err = error ?? outcome?.error
  return { ...Object.fromEntries(plain), channel, ...(isError(err) ? { err } : {}) }
}
