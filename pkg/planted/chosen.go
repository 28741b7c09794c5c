//go:build planted

package planted

// Bug is the defect that is built in. Whoever changes it must not run anything meanwhile.
var Bug = None

// All are the defects by name.
var All = map[string]Defect{
	"old_pair_ack":  OldPairAck,
	"name_reuse":    NameReuse,
	"splice":        Splice,
	"rollback":      Rollback,
	"distance":      Distance,
	"intent_late":   IntentLate,
	"ack_early":     AckEarly,
	"accept_early":  AcceptEarly,
	"resend_early":  ResendEarly,
	"have_early":    HaveEarly,
	"ship_early":    ShipEarly,
	"linked_pack":   LinkedPack,
	"adopt_unread":  AdoptUnread,
	"consume_early": ConsumeEarly,
}
