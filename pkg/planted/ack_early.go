//go:build planted && ack_early

package planted

// Bug is the defect that is built in.
const Bug = AckEarly
