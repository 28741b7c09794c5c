package store

func init() {
	NamedSQL = append(NamedSQL, sqlTransient, sqlAddEvent, sqlDropEvents, sqlEvents, sqlEventsOf, sqlLastEvent, sqlPutKey, sqlPruneKeys, sqlKey,
		sqlPutCallback, sqlSetCallback, sqlDropDelivered, sqlDropCallbacks, sqlCallback, sqlCallbacksDue, sqlCallbacksDead, sqlCallbacksOf,
		sqlDisable, sqlEnable, sqlDisabled)
}
