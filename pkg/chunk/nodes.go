package chunk

import "fmt"

// nodes collects the lines of a map, level by level, and seals full nodes.
type nodes struct {
	s      *Sealer
	sink   Sink
	full   int // entries that make a node
	levels [MaxLevel + 1][]Entry
	text   []byte
}

// nodeEntries is how many entries a node has that a Writer makes: some 130 KiB of JSON.
const nodeEntries = 1024

// add hands one chunk to the sink and takes its line.
func (n *nodes) add(x Sealed) error {
	lvl := x.Entry.Lvl
	x.Entry.Num = int64(len(n.levels[lvl]))
	if err := n.sink(x.Entry, x.Record, x.Bytes); err != nil {
		return err
	}
	n.levels[lvl] = append(n.levels[lvl], x.Entry)
	if len(n.levels[lvl]) == n.full {
		return n.fold(int(lvl))
	}
	return nil
}

// fold seals the lines of a level as one node of the next.
func (n *nodes) fold(lvl int) error {
	if lvl == MaxLevel {
		return fmt.Errorf("%w: the map would need more than %d levels", ErrTooLarge, MaxLevel)
	}
	size, err := checkEntries(n.levels[lvl])
	if err != nil {
		return err
	}
	n.text = appendEntries(n.text[:0], n.levels[lvl])
	n.levels[lvl] = n.levels[lvl][:0]
	return n.add(n.s.seal(nil, n.text, size, uint8(lvl+1), true))
}

// root folds until the lines of one level remain that are short enough, and gives them.
func (n *nodes) root() (Map, error) {
	for lvl := range n.levels {
		top := len(n.levels[lvl]) > 0
		for _, above := range n.levels[lvl+1:] {
			top = top && len(above) == 0
		}
		if top && len(appendEntries(n.text[:0], n.levels[lvl])) <= MaxRoot {
			return Map{Entries: n.levels[lvl]}, nil
		}
		if len(n.levels[lvl]) == 0 {
			continue
		}
		if err := n.fold(lvl); err != nil {
			return Map{}, err
		}
	}
	return Map{}, fmt.Errorf("%w: no map of %d levels holds it", ErrTooLarge, MaxLevel)
}
