//go:build planted && rollback

package planted

// Bug is the defect that is built in.
const Bug = Rollback
