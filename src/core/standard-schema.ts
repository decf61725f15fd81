/**
 * A schema of any library that implements [Standard Schema](https://standardschema.dev), such as zod, valibot and arktype. `Input` is
 * what the schema accepts, `Output` what it returns; they differ if the schema has defaults or transforms.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    /** Validates a value. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    /** For the types alone. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

/** What a schema returns for a value. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

/** One reason why a value is not valid. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** The type that a schema accepts. */
export type SchemaInput<Schema extends StandardSchema> = NonNullable<Schema['~standard']['types']>['input']

/** The type that a schema returns. */
export type SchemaOutput<Schema extends StandardSchema> = NonNullable<Schema['~standard']['types']>['output']

/** Whether `value` is a schema; arktype's are functions. */
export function isSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  const { '~standard': standard } = value as Partial<StandardSchema>
  return typeof standard?.validate === 'function'
}

/** Longer lists of issues are truncated. */
const maxShownIssues = 3

/** The issues as one text, each with the path of the field: `limits.ports[0]: must be a number`. */
export function issuesText(issues: readonly SchemaIssue[]): string {
  const shown = issues.slice(0, maxShownIssues).map(issueText).join('; ')
  const rest = issues.length - maxShownIssues
  return rest > 0 ? `${shown}; and ${rest} more` : shown
}

function issueText({ message, path = [] }: SchemaIssue): string {
  const place = path.map((segment) => segmentText(typeof segment === 'object' ? segment.key : segment)).join('')
  const name = place.replace(/^\./, '')
  // arktype repeats the path in its message.
  return name === '' || message.startsWith(name) ? message : `${name}: ${message}`
}

function segmentText(key: PropertyKey): string {
  if (typeof key === 'number') return `[${key}]`
  return typeof key === 'string' && /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key)
    ? `.${key}`
    : `[${JSON.stringify(String(key))}]`
}
