//go:build planted && old_pair_ack

package planted

// Bug is the defect that is built in.
const Bug = OldPairAck
