package ingress

// spared are the descriptors that connections of callers must leave to everything else (the pipe's files, the database,
// chunks, connections to callees), or half of all where there are few, and sparedLeast in any case: else calls that wait for
// their answers would keep the site from opening the files that bring them.
const (
	spared      = 256
	sparedLeast = 64
)

// affordable gives how many connections there may be at a time when most are wanted (0: no limit) and the process may open
// descriptors in all.
func affordable(most, descriptors int) int {
	if descriptors <= 0 { // not known
		return most
	}
	room := max(1, descriptors-max(sparedLeast, min(spared, descriptors/2)))
	if most == 0 {
		return room
	}
	return min(most, room)
}
