//go:build planted && name_reuse

package planted

// Bug is the defect that is built in.
const Bug = NameReuse
