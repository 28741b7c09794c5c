//go:build planted && ship_early

package planted

// Bug is the defect that is built in.
const Bug = ShipEarly
