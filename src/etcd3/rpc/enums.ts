/** A TypeScript `enum` by other means: names to numbers, and at run time numbers to names. */
function enumOf<const Names extends Readonly<Record<string, number>>>(names: Names): Names {
  const reverse = Object.entries(names).map(([name, value]) => [value, name])
  return Object.assign(Object.fromEntries(reverse), names)
}

type ValueOf<Names> = Names[keyof Names]

/** The order of a listing. */
export const SortOrder = enumOf({ None: 0, Ascend: 1, Descend: 2 })
export type SortOrder = ValueOf<typeof SortOrder>

/** What a listing is sorted by. */
export const SortTarget = enumOf({ Key: 0, Version: 1, Create: 2, Mod: 3, Value: 4 })
export type SortTarget = ValueOf<typeof SortTarget>

/** How a key is compared in a transaction. */
export const CompareResult = enumOf({ Equal: 0, Greater: 1, Less: 2, NotEqual: 3 })
export type CompareResult = ValueOf<typeof CompareResult>

/** What of a key is compared in a transaction. */
export const CompareTarget = enumOf({ Version: 0, Create: 1, Mod: 2, Value: 3, Lease: 4 })
export type CompareTarget = ValueOf<typeof CompareTarget>

/** What a watch leaves out. */
export const FilterType = enumOf({ Noput: 0, Nodelete: 1 })
export type FilterType = ValueOf<typeof FilterType>

/** What an alarm is about. */
export const AlarmType = enumOf({ None: 0, Nospace: 1, Corrupt: 2 })
export type AlarmType = ValueOf<typeof AlarmType>

/** What to do with alarms. */
export const AlarmAction = enumOf({ Get: 0, Activate: 1, Deactivate: 2 })
export type AlarmAction = ValueOf<typeof AlarmAction>

/** What to do about a downgrade of the cluster. */
export const DowngradeAction = enumOf({ Validate: 0, Enable: 1, Cancel: 2 })
export type DowngradeAction = ValueOf<typeof DowngradeAction>

/** What has happened to a key. */
export const EventType = enumOf({ Put: 0, Delete: 1 })
export type EventType = ValueOf<typeof EventType>

/** A right on a range of keys. */
export const Permission = enumOf({ Read: 0, Write: 1, Readwrite: 2 })
export type Permission = ValueOf<typeof Permission>

/** Where a lease stands. */
export const LeaseState = enumOf({ Pending: 0, Alive: 1, Revoked: 2 })
export type LeaseState = ValueOf<typeof LeaseState>

/** What a software transaction is protected from. */
export const Isolation = enumOf({ SerializableSnapshot: 0, Serializable: 1, RepeatableReads: 2, ReadCommitted: 3 })
export type Isolation = ValueOf<typeof Isolation>
