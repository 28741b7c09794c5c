//go:build planted && linked_pack

package planted

// Bug is the defect that is built in.
const Bug = LinkedPack
