//go:build !planted

package planted

// Bug is the defect that is built in.
const Bug = None
