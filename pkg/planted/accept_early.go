//go:build planted && accept_early

package planted

// Bug is the defect that is built in.
const Bug = AcceptEarly
