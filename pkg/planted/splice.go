//go:build planted && splice

package planted

// Bug is the defect that is built in.
const Bug = Splice
